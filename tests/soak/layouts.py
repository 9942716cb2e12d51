"""The soak of faults that change how training is laid out: its tables agree within their floors.

Memory that runs out lays a job out anew, a rank that stands still is ended by the watchdog, and a
job of two processes goes on as one. In another layout sums are rounded in another order, so no byte
is compared: each value is, within what its own row says of its precision.
"""

import csv
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from cluster.storage import Storage
from orchestrator.records.events import Ended, Submitted
from orchestrator.records.ledger import read_events
from tests.soak.soaking import Soak, hang_rank, launch_undisturbed

STUDY = Path(__file__).with_name("layouts.yaml")
CHAOS = "oom@aligned:1,oom@together:1,kill-rank@together:1"
OF_INTERVAL = 0.05
"""Most of the half width of its interval by which a value may differ, where its row has no floor:
rounding moves a value by much less than another draw of prompts does."""
_TABLES = ("table", "table_together")


class LayoutSoak(Soak):
    """The study under faults that change its layout; its gangs become single processes."""

    is_alone = False
    """Whether gangs are single processes by now."""

    def _disturb(self) -> None:
        """Stop a rank for ever inside a step; later kill the launch, and go on with single ranks.

        The launch is killed once a gang has saved, after the watchdog has ended the rank.
        """
        assert self.process is not None
        while self.process.poll() is None:
            time.sleep(0.1)
            if not self.counts["hang a rank"]:
                self.counts["hang a rank"] += hang_rank(self)
            elif not self.is_alone and layouts(self.root)["hung"] and self._has_saved():
                break
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
            text = self.study.read_text(encoding="utf-8")
            self.study.write_text(text.replace("num_ranks: 2", "num_ranks: 1"), encoding="utf-8")
            self.is_alone = True

    def _has_saved(self) -> bool:
        """Tell whether some attempt of a gang has a checkpoint, and is not done."""
        ranks = self.root.glob("artifacts/align/*/attempts/*/log-rank-1.txt")
        return any(
            any(log.parent.glob("checkpoints/checkpoint-*"))
            and not (log.parents[2] / "record.json").exists()
            for log in ranks
        )


def values(root: Path) -> dict[tuple[str, ...], dict[str, str]]:
    """Read the tables of a root: what tells a row from all others -> its numbers."""
    found = {}
    for table in _TABLES:
        file = root / f"studies/soak/tables/{table}/measurements.csv"
        with file.open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                names = ("condition", "objective", "metric", "site", "layer", "centred", "key")
                found[(table, *(row[name] for name in names))] = row
    return found


def differences(undisturbed: Path, disturbed: Path) -> Iterator[str]:
    """Yield where a value differs by more than its row's floor, or else part of its interval."""
    before, after = values(undisturbed), values(disturbed)
    for place in sorted(before.keys() ^ after.keys()):
        yield f"{place} is missing"
    for place in sorted(before.keys() & after.keys()):
        one, other = before[place], after[place]
        if one["status"] != other["status"]:
            yield f"{place}: {one['status']}, then {other['status']}"
        elif one["value"] and abs(float(one["value"]) - float(other["value"])) > floor_of(one):
            yield f"{place}: {one['value']}, then {other['value']}; floor {floor_of(one):.3g}"


def floor_of(row: dict[str, str]) -> float:
    """Return by how much a value may differ."""
    if row["floor"]:
        return float(row["floor"])
    half_width = (float(row["high"]) - float(row["low"])) / 2 if row["low"] and row["high"] else 0
    return max(OF_INTERVAL * half_width, 1e-6 * abs(float(row["value"])))


def layouts(root: Path) -> Counter[str]:
    """Count in how many layouts each stage of training was submitted, and what ended attempts."""
    seen: Counter[str] = Counter()
    executions: dict[str, set[str]] = {}
    for event in read_events(Storage(root), "soak"):
        if isinstance(event, Submitted) and event.execution:
            executions.setdefault(event.key, set()).add(str(sorted(event.execution.items())))
        elif isinstance(event, Ended) and event.fault_class is not None:
            seen[event.fault_class.value] += 1
    seen["laid out anew"] = sum(len(found) > 1 for found in executions.values())
    return seen


def soak_layouts(folder: Path, seed: int, within_s: float) -> tuple[LayoutSoak, int, list[str]]:
    """Run the study undisturbed and under faults; return the soak, its exit code, differences."""
    folder.mkdir(parents=True, exist_ok=True)
    launch_undisturbed(folder / "undisturbed", STUDY, last="table_together")
    study = folder / "soak.yaml"
    study.write_text(STUDY.read_text(encoding="utf-8"), encoding="utf-8")
    soak = LayoutSoak(
        root=folder / f"layouts-{seed}", seed=seed, num_injected=0, num_from_outside=0,
        words=["--cpus", "2"], study=study, chaos=CHAOS,
    )  # fmt: skip
    code = soak.run(within_s)
    found = [] if code else list(differences(folder / "undisturbed", soak.root))
    return soak, code, found
