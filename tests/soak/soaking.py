"""Runs the study of the soak undisturbed, and again under faults, and compares what came out."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from cluster.machine.process_stat import process_stat

STUDY = Path(__file__).parent / "soak.yaml"
GOES_ON = frozenset({-signal.SIGKILL, 3, 75, 130})
"""Exit codes after which the same command goes on: killed, surroundings, gave up waiting."""
_CARD = "README.md"
"""A model card names the commit: no part of what is compared, nor of an artifact's content."""
ROOT = Path(__file__).parents[2]


def say(text: str) -> None:
    """Write a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def command(root: Path, *words: str) -> list[str]:
    """Return the words of `deltascale` on a root."""
    return [sys.executable, "-m", "orchestrator.cli", *words, "--root", str(root)]


def environment() -> dict[str, str]:
    """Return the variables of a launch: this checkout, no mirror, one thread."""
    return os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "OMP_NUM_THREADS": "1",
        "WANDB_MODE": "disabled",
        "DELTASCALE_ALLOW_OPEN_RAY": "1",
        "COLUMNS": "160",
    }


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a study left: the long table, and the digests of the files of every job."""

    table: bytes
    """The long table."""
    files: dict[str, dict[str, str]]
    """`kind/key` -> name of a file -> digest."""

    @classmethod
    def of(cls, root: Path) -> "Result":
        """Read what lies below a root."""
        files = {}
        for record in root.glob("artifacts/*/*/record.json"):
            entries = json.loads(record.read_text())["files"]
            files["/".join(record.parts[-3:-1])] = {
                name: entry["xxh3"] for name, entry in entries.items()
            }
        return cls(
            table=(root / "studies/soak/tables/table/measurements.csv").read_bytes(), files=files
        )

    def differences(self, other: "Result") -> list[str]:
        """Name what is not the same in another one."""
        different = [] if self.table == other.table else ["the table"]
        for job in sorted(self.files.keys() | other.files.keys()):
            mine, theirs = self.files.get(job), other.files.get(job)
            if mine is None or theirs is None:
                different.append(f"{job} is missing")
            else:
                names = [name for name in mine if theirs.get(name) != mine[name]]
                different += [f"{job}/{name}" for name in names if not name.endswith(_CARD)]
        return different


@dataclass
class Soak:
    """One run of the study under faults."""

    root: Path
    """Where it leaves everything."""
    seed: int
    """All that is left to chance follows from it, but for when it meets the study."""
    num_injected: int
    """Faults that the launch is asked to inject."""
    num_from_outside: int
    """Faults that come from outside: processes that are killed or stopped."""
    words: Sequence[str] = ()
    """Further words of the command line."""
    outside: dict[str, Callable[["Soak"], bool]] = field(default_factory=dict)
    """Name of a fault from outside -> what does it; False where it could not be done."""
    study: Path = STUDY
    """What is launched."""
    chaos: str = ""
    """Faults that it is asked for by name, besides those that are drawn."""
    every_s: tuple[float, float] = (4.0, 20.0)
    """Least and most time between two faults from outside."""
    log: Path = field(init=False)
    codes: list[int] = field(default_factory=list)
    """Exit codes of the launches, in turn."""
    counts: Counter[str] = field(default_factory=Counter)
    """Kind of fault -> how often it struck."""
    process: "subprocess.Popen[bytes] | None" = None
    hung: set[str] = field(default_factory=set)
    """Keys of jobs whose process was stopped for ever."""

    def __post_init__(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        self.log = self.root.parent / f"{self.root.name}.log"
        self.random = random.Random(self.seed)

    def run(self, within_s: float, most_launches: int = 80) -> int:
        """Launch again and again until it ends by itself; return the last exit code."""
        until = time.monotonic() + within_s
        drawn = f"random:{self.num_injected}" if self.num_injected else ""
        asked = ",".join(filter(None, [drawn, self.chaos]))
        chaos = ["--chaos", asked, "--chaos-seed", str(self.seed)]
        words = ["launch", str(self.study), *self.words, *(chaos if asked else [])]
        while len(self.codes) < most_launches and time.monotonic() < until:
            self.codes.append(self._launch(words, until))
            if self.codes[-1] not in GOES_ON:
                break
        self._count_injected()
        return self.codes[-1]

    def _launch(self, words: Sequence[str], until: float) -> int:
        with self.log.open("ab") as log:
            log.write(f"--- launch {len(self.codes) + 1}\n".encode())
            log.flush()
            self.process = subprocess.Popen(
                command(self.root, *words),
                stdout=log,
                stderr=log,
                env=environment(),
                cwd=ROOT,
            )
            try:
                while self.process.poll() is None and time.monotonic() < until:
                    self._disturb()
                if self.process.poll() is None:
                    log.write(b"--- out of time\n")
                    return -999
                return self.process.returncode
            finally:
                self.end()

    def _disturb(self) -> None:
        """Wait for a while, then do something from outside, if anything is left to do."""
        pause = time.monotonic() + self.random.uniform(*self.every_s)
        assert self.process is not None
        while time.monotonic() < pause and self.process.poll() is None:
            time.sleep(0.1)
        done = sum(self.counts[name] for name in self.outside)
        if self.process.poll() is None and done < self.num_from_outside and self.outside:
            name = self.random.choice(sorted(self.outside))
            with suppress(psutil.NoSuchProcess, ProcessLookupError):
                if self.outside[name](self):
                    self.counts[name] += 1
                    with self.log.open("ab") as log:
                        log.write(f"--- from outside: {name}\n".encode())

    def family(self) -> list[psutil.Process]:
        """Return the processes that the launch has started."""
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)

    def end(self) -> None:
        """End the launch and all that it started, as far as it is there."""
        if self.process is None:
            return
        family: list[psutil.Process] = []
        with suppress(psutil.NoSuchProcess):
            family = self.family()
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGCONT)
            self.process.kill()
            self.process.wait()
            for member in family:
                with suppress(psutil.NoSuchProcess):
                    member.kill()
        psutil.wait_procs(family, timeout=20)

    def _count_injected(self) -> None:
        for file in self.root.glob("studies/soak/chaos/*/injected/*.json"):
            name = json.loads(file.read_text())["fault"]
            self.counts[name.split("@")[0].split("=")[0].split(":")[0]] += 1

    def describe(self) -> str:
        """Return the counts in words."""
        by_class = ", ".join(f"{name} {count}" for name, count in sorted(self.counts.items()))
        codes = Counter(self.codes)
        return (
            f"seed {self.seed}: {sum(self.counts.values())} faults ({by_class}); "
            f"{len(self.codes)} launches, exit codes {dict(codes)}"
        )


def launch_undisturbed(root: Path, study: Path = STUDY, last: str = "table") -> Result:
    """Run a study without faults, unless it was, up to its last table; return what it left."""
    if not (root / f"studies/soak/tables/{last}/measurements.csv").exists():
        subprocess.run(
            command(root, "launch", str(study), "--cpus", "2"), env=environment(), check=True
        )
    return Result.of(root)


def kill_coordinator(soak: Soak) -> bool:
    """Kill the launch."""
    assert soak.process is not None
    os.kill(soak.process.pid, signal.SIGKILL)
    return True


def stop_coordinator(soak: Soak) -> bool:
    """Stop the launch for a while."""
    assert soak.process is not None
    os.kill(soak.process.pid, signal.SIGSTOP)
    time.sleep(soak.random.uniform(1, 25))
    os.kill(soak.process.pid, signal.SIGCONT)
    return True


def killing(name: str) -> Callable[[Soak], bool]:
    """Return what kills a process of the launch, chosen by a word in its command line."""

    def kill(soak: Soak) -> bool:
        found = _called(soak, name)
        if found:
            soak.random.choice(found).kill()
        return bool(found)

    return kill


def stopping(name: str, most_s: float) -> Callable[[Soak], bool]:
    """Return what stops a process of the launch for a while, chosen in the same way."""

    def stop(soak: Soak) -> bool:
        found = _called(soak, name)
        if found:
            chosen = soak.random.choice(found)
            chosen.suspend()
            time.sleep(soak.random.uniform(1, most_s))
            with suppress(psutil.NoSuchProcess):
                chosen.resume()
        return bool(found)

    return stop


def hang_rank(soak: Soak) -> bool:
    """Stop a process inside a step, for ever: the watchdog has to end it. Each job once."""
    now = time.time()
    for file in sorted(soak.root.glob("artifacts/align/*/attempts/*/alive/*.json")):
        with suppress(OSError, ValueError, psutil.Error):
            beat = json.loads(file.read_text())
            is_at_it = now - file.stat().st_mtime < 3 and not beat.get("is_over")
            stat = process_stat(beat["pid"])
            is_same = stat is not None and stat.started == beat["started"]
            job = file.parts[-5]
            if is_at_it and beat.get("longest_s") and is_same and job not in soak.hung:
                soak.hung.add(job)  # a second hang ends a job
                psutil.Process(beat["pid"]).suspend()
                return True
    return False


def _called(soak: Soak, name: str) -> list[psutil.Process]:
    found = []
    for member in soak.family():
        with suppress(psutil.NoSuchProcess):
            if name in " ".join(member.cmdline()):
                found.append(member)
    return found


OWN_RAY = {
    "kill the launch": kill_coordinator,
    "stop the launch": stop_coordinator,
    "kill a worker": killing("ray::"),
    "stop a worker": stopping("ray::", 4),
    "hang a rank": hang_rank,
    "kill the head": killing("gcs_server"),
    "kill the raylet": killing("raylet/raylet"),
    "kill Ray's driver": killing("ray_driver"),
}
"""Faults from outside, where the launch starts a Ray of its own."""


@contextmanager
def several_nodes(num_nodes: int) -> Iterator[tuple[str, dict[str, Callable[[Soak], bool]]]]:
    """Start a Ray of several nodes; yield its address, and the faults that it can meet."""
    from ray.cluster_utils import Cluster

    os.environ["DELTASCALE_ALLOW_OPEN_RAY"] = "1"
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(num_nodes - 1)]

    def lose_node(soak: Soak) -> bool:
        lost = nodes.pop(soak.random.randrange(len(nodes)))
        cluster.remove_node(lost, allow_graceful=False)
        time.sleep(soak.random.uniform(0, 8))
        nodes.append(cluster.add_node(num_cpus=1))
        return True

    try:
        yield (
            cluster.address,
            {
                "lose a node": lose_node,
                "kill the launch": kill_coordinator,
                "stop the launch": stop_coordinator,
                "kill Ray's driver": killing("ray_driver"),
            },
        )
    finally:
        cluster.shutdown()
