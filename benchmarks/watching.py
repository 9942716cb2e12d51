"""Time and memory of `status`: of a large study while it runs and after, and of many studies.

    python -m benchmarks.watching [--jobs 10000] [--studies 100]

Every figure is of fresh processes, `--turns` of them: the median of seconds on the clock, of
processor time, and the most memory. Records, plan and ledger are written as a launch leaves them
when all jobs but a hundred are done; the study's lock is held meanwhile, so that it runs for
whoever looks.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks.planning import finish, tree_study
from cluster.storage import Storage
from orchestrator.plan.decisions import decide_jobs
from orchestrator.plan.plan import make_plan
from orchestrator.plan.plan_document import plan_document
from orchestrator.plan.study_folder import write_study
from orchestrator.records.events import Ended, LaunchStarted, Submitted
from orchestrator.records.failure import Result
from orchestrator.records.ledger import Ledger
from orchestrator.records.lock import study_lock
from orchestrator.study.study import load_study

_LAUNCH = "20260101T000000-00000000"
_RUNNING = 100
_MEASURED = """
import re, sys, time
from orchestrator.cli import main
code = main(sys.argv[1:])
assert code == 0, code
# Of this process alone: ru_maxrss is at least that of whoever started it.
memory = re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]
print(time.process_time(), int(memory) / 1000, file=sys.stderr)
"""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--studies", type=int, default=100)
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    print(f"{'':44}{'clock':>9}{'processor':>11}{'RSS':>9}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with ExitStack() as held:
            _run_study(folder / "one", "large", options.jobs, held)
            _measure(
                f"status of {options.jobs} jobs, running", folder / "one", options.turns, "large"
            )
        _measure(f"status of {options.jobs} jobs, resting", folder / "one", options.turns, "large")
        many = folder / "many"
        with ExitStack() as held:
            for number in range(options.studies):
                _run_study(many, f"small-{number:03d}", 200, held if number < 5 else None)
            what = f"status of all {options.studies} studies, 5 running"
            _measure(what, many, options.turns)


def _run_study(root: Path, name: str, num_jobs: int, held: ExitStack | None) -> None:
    """Leave a study as it is when its launch is nearly over; hold its lock for as long as asked."""
    file = root.parent / f"{name}.yaml"
    text = tree_study(num_jobs).replace("study: planning", f"study: {name}")
    file.write_text(text)
    plan = make_plan(load_study(file))
    before = decide_jobs(plan, Storage(root.parent / "nothing"))
    if not root.exists():  # studies of equal jobs share what was made
        finish(file, root)
    storage = Storage(root)
    write_study(storage, plan, plan_document(plan, before, _LAUNCH))
    ledger, at = Ledger(storage, name, _LAUNCH), time.time() - 3600
    ledger.append(
        LaunchStarted(at=at, launch=_LAUNCH, host="h", pid=1, executor="ray", fresh=False)
    )
    keys = list(plan.by_key)
    for number, key in enumerate(keys):
        attempt = f"{_LAUNCH}-{number:06d}"
        ledger.append(Submitted(at=at, key=key, attempt=attempt))
        if number < len(keys) - _RUNNING:
            done = {"at": at + 0.2, "key": key, "attempt": attempt, "seconds": 0.1, "held": 0.2}
            ledger.append(Ended(**done, result=Result.DONE, node="node-1"))
        at += 3600 / len(keys)
    ledger.close()
    if held is not None:
        held.enter_context(study_lock(storage, name, _LAUNCH))


def _measure(what: str, root: Path, turns: int, *words: str) -> None:
    command = [sys.executable, "-c", _MEASURED, "status", *words]
    clock, processor, memory = [], [], []
    for _ in range(turns):
        began = time.perf_counter()
        child = subprocess.run(
            [*command, "--root", str(root)], capture_output=True, text=True, check=True
        )
        clock.append(time.perf_counter() - began)
        seconds, most = child.stderr.split()
        processor.append(float(seconds))
        memory.append(float(most))
    print(
        f"{what:44}{statistics.median(clock):>7.2f} s{statistics.median(processor):>9.2f} s"
        f"{max(memory):>6.0f} MB"
    )


if __name__ == "__main__":
    main()
