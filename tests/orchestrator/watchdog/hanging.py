"""Entry point of a worker whose probes count steps and then hang, each in its own way.

It stands in for `jobs.run:run`: which way comes with the probe's index.
"""

import ctypes
import re
import threading
import time
from unittest import mock

from cluster.executor import Surroundings
from jobs import run as jobs_run
from jobs.kinds.probe import Probe
from jobs.worker.work import Work

ENTRY = "tests.orchestrator.watchdog.hanging:run"
NUM_STEPS, STEP_S = 30, 0.15

LOCK, HOLDS_INTERPRETER, SPINS, COLLECTIVE, SLOW, STOPPED, LONG = range(1, 8)
_HANGS_AT = 20


def run(payload: str, surroundings: Surroundings) -> str:
    """Make one attempt at a probe that hangs in its first attempt."""
    # For this attempt alone: it may run in the very process of the tests.
    with mock.patch.object(Probe, "run", _run):
        return jobs_run.run(payload, surroundings)


def _run(self: Probe, work: Work) -> dict[str, object]:
    way, is_first = work.params.index % 10, not work.attempt.others()
    for step in range(1, NUM_STEPS + 1):
        time.sleep(STEP_S if way != LONG else 1.0)
        if step == _HANGS_AT and is_first:
            _hang(way, work)
        work.pulse.note_step(step, NUM_STEPS)
    if work.rank == 0:
        (work.folder / "probe.txt").write_text("0\n")
    return {"index": work.params.index, "depth": 0}


def _hang(way: int, work: Work) -> None:
    if way == LOCK:
        threading.Lock().acquire() and threading.Event().wait()
    elif way == HOLDS_INTERPRETER:
        while True:  # a signal ends one of these sleeps, not the hang
            ctypes.PyDLL(None).sleep(1000)
    elif way == SPINS:
        re.match(r"(a+)+$", "a" * 40 + "b")  # never lets go of the interpreter
    elif way == COLLECTIVE:
        _leave_others_waiting(work)
    elif way == SLOW:
        until = time.monotonic() + 20
        while time.monotonic() < until:  # far beyond its limit, but it moves
            sum(number * number for number in range(1000))
            _elsewhere(200)
    elif way == STOPPED:
        time.sleep(3600)


def _elsewhere(depth: int) -> int:
    return depth and 1 + _elsewhere(depth - 1)


def _leave_others_waiting(work: Work) -> None:
    import torch
    import torch.distributed as dist

    if work.rank == 1:
        threading.Event().wait()
    dist.all_reduce(torch.zeros(1))
