"""Check this machine's GPU, part by part, each in a process of its own.

    python -m benchmarks.gpu [--parts parity,moments] [--into FOLDER] [--rehearse]
    python -m benchmarks.gpu --take gpu-check-H200-2026-12-01.json

Needs no network, no Ray and no W&B. A part that does not fit this machine, or lacks something, is
skipped with the reason; one that fails, or takes more than five minutes, leaves what it had, and
the next one is run. Ends with 1 where something that is held to an aim missed it. `--rehearse` runs
every part's own code on a processor, with tiny shapes, and writes nothing.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.gpu.results import FAILED, MEASURED, RESULTS, SKIPPED, new_document, save, table
from cluster.machine.gpu_variables import gpu_variables
from cluster.machine.left_over_variables import one_process
from cluster.machine.visible_gpus import VARIABLE, visible_gpus

ROOT = Path(__file__).parents[2]
_SHOWN = 25
"""Lines of what a failed part wrote that are shown."""


def main() -> int:
    """Run the parts asked for; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", default="", help="names between commas; all without")
    parser.add_argument("--into", type=Path, default=RESULTS, help="where results are written")
    parser.add_argument("--rehearse", action="store_true")
    parser.add_argument("--commit", help="of this code, where it is no checkout")
    parser.add_argument(
        "--take", type=Path, help="only join a JSON that was brought from another machine"
    )
    parser.add_argument("--limit", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--rows", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one is not None:
        with one_process():
            return _run_here(chosen.one, chosen.rows, rehearses=chosen.rehearse)
    if chosen.take is not None:
        print(save(json.loads(chosen.take.read_text(encoding="utf-8")), chosen.into))
        return 0
    return _check(chosen)


def _check(chosen: argparse.Namespace) -> int:
    from benchmarks.gpu.part import LIMIT_S, PARTS, in_order

    names = [name.strip() for name in chosen.parts.split(",") if name.strip()] or in_order()
    for name in names:
        PARTS.find(name)  # an unknown one is said before anything runs
    with tempfile.TemporaryDirectory() as folder:
        machine = _look(Path(folder), rehearses=chosen.rehearse)
        document = new_document(machine, chosen.commit)
        for name in names:
            print(f"== {name}: {PARTS.find(name).QUESTION}", flush=True)
            limit_s = chosen.limit or LIMIT_S
            words = _words(name, Path(folder, f"{name}.jsonl"), chosen.rehearse)
            shown = one_gpu() if PARTS.find(name).LEAST_GPUS == 1 else {}
            found = run_apart(words, Path(folder, name), limit_s, shown)
            document["parts"][name] = found
            if found["state"] != MEASURED:
                print(f"{found['state']}: {found['reason']}", flush=True)
            if not chosen.rehearse:
                path = save(document, chosen.into)
    if chosen.rehearse:
        print("\n".join(table(document)))
    else:
        print(f"{path} and its table {path.with_suffix('.md').name}")
    rows = [row for found in document["parts"].values() for row in found["rows"]]
    missed = [row["what"] for row in rows if row["holds"] is False]
    failed = [name for name, found in document["parts"].items() if found["state"] == FAILED]
    print(f"missed: {'; '.join(missed) or 'nothing'}. Failed: {', '.join(failed) or 'nothing'}.")
    return int(bool(failed or (missed and not chosen.rehearse)))


def _look(folder: Path, *, rehearses: bool) -> dict[str, Any]:
    """Describe the machine; in a process of its own, since looking takes memory of the GPU."""
    rows = folder / "machine.json"
    done = subprocess.run(_words("", rows, rehearses), cwd=ROOT, env=_environment(), check=False)
    if done.returncode or not rows.exists():
        raise SystemExit(done.returncode or 1)
    machine: dict[str, Any] = json.loads(rows.read_text(encoding="utf-8"))
    return machine


def run_apart(
    words: Sequence[str], files: Path, limit_s: float, shown: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Run one part in a process; return its entry in the document.

    Args:
        words: its command.
        files: `.jsonl` beside it is where it writes rows, `.txt` what it says of errors.
        limit_s: seconds after which it is ended.
        shown: variables that say which GPUs it sees; all of them without.
    """
    rows, log = files.with_suffix(".jsonl"), files.with_suffix(".txt")
    began = time.monotonic()
    with (
        log.open("wb") as output,
        subprocess.Popen(
            words, cwd=ROOT, env={**_environment(), **(shown or {})}, stderr=output,
            start_new_session=True,
        ) as process,
    ):  # fmt: skip
        try:
            process.wait(limit_s)
            reason = f"ended with exit code {process.returncode}" if process.returncode else ""
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()
            reason = f"took more than {limit_s:g} s and was ended"
    lines = rows.read_text(encoding="utf-8").splitlines() if rows.exists() else []
    found = [json.loads(line) for line in lines]
    skipped = next((row["skipped"] for row in found if "skipped" in row), None)
    if reason:
        written = log.read_text(encoding="utf-8", errors="replace").splitlines()
        print("\n".join(written[-_SHOWN:]), file=sys.stderr, flush=True)
        reason = f"{reason}: {written[-1].strip()[:300]}" if written else reason
    state = FAILED if reason else SKIPPED if skipped else MEASURED
    return {
        "state": state,
        "reason": reason or skipped or "",
        "seconds": round(time.monotonic() - began, 1),
        "rows": [row for row in found if "skipped" not in row],
    }


def _run_here(name: str, rows: Path, *, rehearses: bool) -> int:
    """Run one part in this process, or describe the machine; what it finds goes to a file."""
    from benchmarks.gpu.machine import describe, look
    from benchmarks.gpu.part import PARTS

    machine = look(rehearses=rehearses)
    if not name:
        rows.write_text(json.dumps(describe(machine)), encoding="utf-8")
        return 0
    part = PARTS.find(name)
    with rows.open("w", encoding="utf-8") as file:
        why_not = part.why_not(machine)
        if why_not is not None:
            file.write(json.dumps({"skipped": why_not}) + "\n")
            return 0
        for row in part.rows(machine):
            file.write(json.dumps(row.to_json()) + "\n")
            file.flush()
            held = {True: "ok   ", False: "WRONG", None: "     "}[row.holds]
            print(f"{held} {row.what}: {row.value} {row.unit} {row.note}", flush=True)
    return 0


def _words(name: str, rows: Path, rehearses: bool) -> list[str]:
    words = [sys.executable, "-m", "benchmarks.gpu", "--one", name, "--rows", str(rows)]
    return [*words, "--rehearse"] if rehearses else words


def one_gpu() -> dict[str, str]:
    """Return the variable that shows a process the first of the GPUs that this one is shown.

    Trainers spread a batch over all GPUs that they see: TRL refuses that, and elsewhere what was
    measured of one GPU would be of several.
    """
    gpus = visible_gpus()
    if gpus:
        return {VARIABLE: gpus[0].identifier}
    return {} if VARIABLE in os.environ else {VARIABLE: "0"}


def _environment() -> dict[str, str]:
    """Return the variables of a part: those of a job on a GPU, and no network."""
    own = {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    path = os.environ.get("PYTHONPATH")
    if path:
        own["PYTHONPATH"] += os.pathsep + path
    return {**os.environ, **gpu_variables(), **own}


if __name__ == "__main__":
    sys.exit(main())
