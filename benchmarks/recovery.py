"""How long work stands still after a kill, beside what bare Ray needs for the same.

    python -m benchmarks.recovery [--rounds N] [--only worker rank node coordinator]

Each part prints its rows as Markdown as soon as it is measured, with a bare baseline of the same
run beside it, so that ratios hold on a machine that does other things, too:

- worker: a training job of one process is killed by SIGKILL after a checkpoint; the clock stops
  when its next attempt has done a step. Bare: a Ray task that trains with TRL as a person writes
  it is killed after its first step, and Ray itself tries it again, until its next first step.
- rank: one of two ranks is killed. Bare: a `TorchTrainer` of two workers from `fit()` to its first
  optimizer step, on a Ray that is up: what starting such a gang costs anyone.
- node: all processes of a node of a joined Ray are killed; the clock stops when the call on it has
  a class. Bare: until Ray takes the node for dead; that the task's process died it says before.
- coordinator: a launch of 10,000 jobs is killed, with no word to anybody; the clock runs from the
  start of the same command to its first submission. Bare: a script that starts Ray and runs a task.

Work that is lost is counted in steps from the training logs, and is at most a checkpoint interval.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.preference_workload import random_checkpoint
from benchmarks.recovery_bare import WORKLOAD, bare
from benchmarks.waiting import until
from benchmarks.workload import arguments, settled

BATCH = 4
_STEPS = 2000
_CHECKPOINT_EVERY = 20
_NUM_JOBS = 10_000
_HEAD = "| what | target | ours | bare | ratio |\n|---|---|---|---|---|"


def main() -> None:
    """Print the rows of all parts, or of the chosen ones."""
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=sorted(PARTS), default=list(PARTS))
    chosen = parser.parse_args()
    print(settled(chosen), flush=True)
    print(f"{WORKLOAD}\n\n{_HEAD}", flush=True)
    with tempfile.TemporaryDirectory(prefix="recovery-") as name:
        random_checkpoint(WORKLOAD, Path(name) / "model")
        for number in range(chosen.rounds):
            for part in chosen.only:
                try:
                    for row in PARTS[part](Path(name), number):
                        print(row, flush=True)
                except Exception as error:  # one part that fails leaves the others their turn
                    why = f"{type(error).__name__}: {error}".splitlines()[0]
                    print(f"| {part} | not measured: {why} | | | |", flush=True)


def row(what: str, target: str, ours: float, theirs: float | None, unit: str = "s") -> str:
    """Return one row of the table."""
    bare_text = "" if theirs is None else f"{theirs:.1f} {unit}"
    ratio = f"{ours / theirs:.2f}" if theirs else ""
    return f"| {what} | {target} | {ours:.1f} {unit} | {bare_text} | {ratio} |"


def worker(folder: Path, number: int) -> Iterator[str]:
    """Kill the one process of a training job."""
    theirs = bare("killed_task", folder)["recovery"]
    ours, lost = _killed_training(folder, f"worker-{number}", ranks=1)
    what = "kill −9 of a worker → a step of its job again"
    yield row(what, "≤ 1.2 × bare + checkpoint load", ours, theirs)
    yield row("work lost by that", f"≤ {_CHECKPOINT_EVERY} steps", lost, None, "steps")


def rank(folder: Path, number: int) -> Iterator[str]:
    """Kill one of two ranks of a training job."""
    theirs = bare("first_steps_of_train", folder)["first_step"]
    ours, lost = _killed_training(folder, f"rank-{number}", ranks=2)
    what = "kill −9 of one rank → next optimizer step"
    yield row(what, "≤ 1.1 × bare Ray Train + checkpoint load", ours, theirs)
    yield row("work lost by that", f"≤ {_CHECKPOINT_EVERY} steps", lost, None, "steps")


def node(folder: Path, number: int) -> Iterator[str]:
    """Kill a node under a call."""
    theirs = bare("node_killed", folder)
    found = bare("node_killed_under_ours", folder)
    what = f"node killed → class decided ({found['fault_class']}; bare: Ray knows the node as dead"
    what += f", its task had raised {theirs['error']} after {theirs['raised']:.1f} s)"
    yield row(what, "≤ 5 s", found["decided"], theirs["known"])


def coordinator(folder: Path, number: int) -> Iterator[str]:
    """Kill the launch of a large study, and launch it again."""
    theirs = bare("started", folder)["first_task"]
    study, root = folder / f"many-{number}.yaml", folder / f"root-many-{number}"
    axis = json.dumps(list(range(_NUM_JOBS)))
    study.write_text(
        f"study: many\naxes: {{index: {axis}}}\nstages:\n"
        '  s: {kind: probe, over: [index], params: {index: "${index}"}}\n',
        encoding="utf-8",
    )
    with _launched(study, root) as launch:
        until(lambda: _num_events(root, "ended") >= 300, launch)
        os.kill(launch.pid, signal.SIGKILL)
        launch.wait()
    before, began = _num_events(root, "submitted"), time.monotonic()
    with _launched(study, root) as launch:
        until(lambda: _num_events(root, "submitted") > before, launch)
        ours = time.monotonic() - began
    what = f"coordinator SIGKILL → a new one dispatching, {_NUM_JOBS:,} jobs"
    yield row(what, "≤ 10 s", ours, theirs)


PARTS: Mapping[str, Callable[[Path, int], Iterator[str]]] = {
    "worker": worker,
    "rank": rank,
    "node": node,
    "coordinator": coordinator,
}


def _killed_training(folder: Path, name: str, *, ranks: int) -> tuple[float, int]:
    """Return seconds from the kill of the last rank to the next attempt's step, and steps lost."""
    study, root = training_study(folder, name, ranks), folder / f"root-{name}"
    with _launched(study, root) as launch:
        marker = f"checkpoints/checkpoint-{2 * _CHECKPOINT_EVERY}/COMPLETE.json"
        attempt = until(lambda: _attempt_with(root, marker), launch)
        log = "log.txt" if ranks == 1 else "log-rank-1.txt"
        os.kill(_process_writing(attempt / log), signal.SIGKILL)
        killed = time.monotonic()
        until(lambda: _attempt_with(root, "training_log.jsonl", but=attempt), launch)
        seconds = time.monotonic() - killed
        lost = _last_step(attempt) - _last_checkpoint(attempt)
        assert 0 <= lost <= _CHECKPOINT_EVERY, f"{lost} steps lost"
        return seconds, lost


def _last_step(attempt: Path) -> int:
    lines = (attempt / "training_log.jsonl").read_text("utf-8").splitlines()
    return max(int(json.loads(line)["step"]) for line in lines if line.endswith("}"))


def _last_checkpoint(attempt: Path) -> int:
    markers = attempt.glob("checkpoints/checkpoint-*/COMPLETE.json")
    return max(int(marker.parent.name.rpartition("-")[2]) for marker in markers)


@contextmanager
def _launched(study: Path, root: Path) -> "Iterator[subprocess.Popen[bytes]]":
    words = [sys.executable, "-m", "orchestrator.cli", "launch", str(study), "--root", str(root)]
    with (
        open(f"{root}.txt", "ab") as output,
        subprocess.Popen(words, stdout=output, stderr=output) as launch,
    ):
        try:
            yield launch
        finally:
            if launch.poll() is None:
                launch.send_signal(signal.SIGINT)
                try:
                    launch.wait(timeout=60)
                except subprocess.TimeoutExpired:
                    launch.kill()


def training_study(folder: Path, name: str, ranks: int) -> Path:
    """Write a study that trains the workload once; return its file."""
    rows = "".join(json.dumps(texts) + "\n" for texts in WORKLOAD.texts())
    (folder / "pairs.jsonl").write_text(rows, encoding="utf-8")
    stages: dict[str, Any] = {
        "base": {"kind": "pretrained", "params": {"source": "model"}},
        "pairs": {
            "kind": "pairs",
            "params": {"format": "prompt-chosen-rejected", "source": "pairs.jsonl"},
        },
        "reference": {"kind": "reference", "inputs": {"model": "base", "pairs": "pairs"}},
        "aligned": {
            "kind": "align",
            "inputs": {"model": "base", "pairs": "pairs", "reference": "reference"},
            "params": {
                "steps": _STEPS,
                "global_batch": BATCH,
                "num_ranks": ranks,
                "num_gpus": 0,
                "checkpoint_every": _CHECKPOINT_EVERY,
            },
        },
    }
    path = folder / f"{name}.yaml"
    # JSON is YAML.
    path.write_text(json.dumps({"study": name, "stages": stages}), encoding="utf-8")
    return path


def _num_events(root: Path, name: str) -> int:
    """Count the events of a name in all ledgers of a root."""
    marker = f'"event": "{name}"'.encode()
    files = [path for path in root.glob("studies/*/ledger/**/*") if path.is_file()]
    return sum(path.read_bytes().count(marker) for path in files)


def _attempt_with(root: Path, name: str, but: Path | None = None) -> Path | None:
    """Find the newest attempt at the training job that holds a file."""
    found = [
        path
        for path in sorted(root.glob("artifacts/align/*/attempts/*"))
        if path != but and (path / name).exists()
    ]
    return found[-1] if found else None


def _process_writing(log: Path) -> int:
    """Find the process that has a log open, and is not the one that keeps it."""
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            command = (link.parent.parent / "cmdline").read_bytes()
            if link.resolve() == log.resolve() and b"log_keeper" not in command:
                return int(link.parts[2])
        except OSError:
            continue
    raise AssertionError(f"nobody writes {log}")


if __name__ == "__main__":
    main()
