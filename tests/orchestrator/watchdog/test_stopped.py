"""Processes that a signal stopped: told by the kernel, and decided before a slow step would be."""

import os
import signal
import subprocess
import time
from dataclasses import replace

import pytest

from cluster.executor import NodeRoom
from cluster.fault_classes import FaultClass
from cluster.machine.process_stat import process_stat
from cluster.machine.resources import Resources
from jobs.liveness.heartbeat import Phase
from jobs.liveness.inspection import END, GLANCE, INSPECT
from orchestrator.records.failure import Result
from orchestrator.watchdog.limits import Limits
from tests.orchestrator.watchdog.fleet import HANGS, MOVES, STEPPING, WORKING, Fleet

STOPPED_AT = 20.0
PHASES = {
    "step": replace(STEPPING, longest_s=2.0),
    "part": replace(STEPPING, unit="part"),
    "first step": replace(STEPPING, phase=Phase.COMPILING, longest_s=None, median_s=None),
    "loading": replace(WORKING, phase=Phase.LOADING),
    "uncounted": WORKING,
}


class Steps(Fleet):
    """Does a step every 2 s, until it is stopped at `STOPPED_AT`; goes on at `continues_at`."""

    continues_at = float("inf")

    def __init__(self, heartbeat, finding, **more):
        super().__init__(heartbeat, finding, **more)
        self.is_stopped = lambda at: STOPPED_AT <= at < self.continues_at
        self.beats = lambda at: not self.is_stopped(at)

    def _beat(self, assignment, since):
        if self.heartbeat.phase is Phase.STEPPING:
            self.heartbeat = replace(self.heartbeat, step=int(self.now))
        super()._beat(assignment, self.now)


@pytest.mark.parametrize(
    ("phase", "allowed_s"),
    [("step", 3 * 2 + 5), ("part", 30), ("first step", 30), ("loading", 30), ("uncounted", 30)],
)
def test_what_is_seen_stopped_is_ended_on_another_node_soon_after(run, root, phase, allowed_s):
    fleet = Steps(PHASES[phase], HANGS)
    hung, done = run(fleet)
    assert (hung.fault_class, done.result) == (FaultClass.HUNG, Result.DONE)
    assert fleet.calls == [GLANCE, INSPECT, END]
    seen_s = 2.5 * 2 + 1 + 4  # beats that are missed, and two rounds
    assert allowed_s - 2 <= hung.seconds - STOPPED_AT <= max(allowed_s + seen_s, 2 * seen_s)
    assert "stopped by a signal" in hung.message and "state T of the kernel" in hung.message
    (kept,) = [name for name in root.walk("artifacts") if "/stacks/" in name]
    assert b"state: stopped by a signal" in root.read(kept)


def test_a_storage_that_is_away_on_its_node_is_no_reason_to_wait_for_it(run):
    hung, _ = run(Steps(STEPPING, replace(HANGS, is_root_away=True)))
    assert hung.fault_class is FaultClass.HUNG and hung.seconds < STOPPED_AT + 30


def test_a_node_that_does_not_answer_the_second_look_leaves_it_to_the_step_s_limit(run):
    hung, _ = run(Steps(STEPPING, lambda number: None))
    assert hung.fault_class is FaultClass.HUNG and hung.seconds >= STOPPED_AT + 26 - 2


def test_what_goes_on_before_its_time_is_up_goes_on_as_if_nothing_were(run):
    fleet = Steps(PHASES["loading"], HANGS, recovers_at=1100.0)
    fleet.continues_at = STOPPED_AT + 26.0
    (done,) = run(fleet)
    assert done.result is Result.DONE and END not in fleet.calls


def test_a_debugger_may_hold_a_process_as_long_as_it_may_be_slow(run):
    fleet = Steps(STEPPING, replace(HANGS, state="t"))
    fleet.is_stopped = lambda at: False
    fleet.beats = lambda at: at < STOPPED_AT
    hung, _ = run(fleet)
    assert hung.seconds >= STOPPED_AT + 26 - 2 and "stopped by a debugger" in hung.message


@pytest.mark.parametrize(
    ("words", "after_s", "before_s"),
    [
        (["stopped=1min"], 26, 30),  # never later than a step that is too long
        (["10min"], 11, 20),  # which says how long a step may take that goes on
        (["10min", "stopped=4min"], 246, 260),
        (["2s"], 8, 20),
    ],
)
def test_the_user_says_how_long_a_process_may_be_stopped(run, words, after_s, before_s):
    fleet = Steps(STEPPING, HANGS)
    hung, _ = run(fleet, limits=Limits.of_words(words, {}))
    assert after_s - 2 <= hung.seconds - STOPPED_AT <= before_s


@pytest.mark.parametrize("words", [["never"], ["1h", "stopped=never"]])
def test_never_ends_what_is_stopped_never_and_asks_nobody(run, words):
    fleet = Steps(WORKING, HANGS, recovers_at=1000.0 + 2000.0)
    (done,) = run(fleet, limits=Limits.of_words(words, {}))
    assert done.result is Result.DONE and GLANCE not in fleet.calls and END not in fleet.calls


def wait_for_state(pid, is_stopped):
    """The kernel takes a moment, where others hold the processors; the clock here does not."""
    until = time.monotonic() + 20
    while (stat := process_stat(pid)) and not stat.has_ended and stat.is_stopped != is_stopped:
        assert time.monotonic() < until
        time.sleep(0.001)


class Here(Steps):
    """Its process is a real one of this machine, really stopped."""

    is_dead = False

    def rooms(self):
        whole = Resources(num_cpus=1)
        return [NodeRoom(name="id", address="n1", offers=whole, free=whole, is_here=True)]

    def wait(self, timeout_s):
        if not self.is_dead:
            at = self.now + max(timeout_s, 2.0) - 1000.0
            is_stopped = self.is_stopped(at)
            os.kill(self.heartbeat.pid, signal.SIGSTOP if is_stopped else signal.SIGCONT)
            wait_for_state(self.heartbeat.pid, is_stopped)
        if self._has_died():
            self.is_dead = True
            self._die()
        return super().wait(timeout_s)

    def _has_died(self):
        stat = process_stat(self.heartbeat.pid)
        return not self.is_dead and (stat is None or stat.has_ended)


@pytest.fixture
def process():
    with subprocess.Popen(["sleep", "600"]) as child:
        yield {"pid": child.pid, "started": process_stat(child.pid).started}
        child.kill()


def found(process):
    stat = process_stat(process["pid"])
    return replace(HANGS, pid=process["pid"], cpu_s=stat.cpu_s)


def test_on_this_machine_it_is_seen_at_every_look_without_a_call(run, process):
    fleet = Here(replace(STEPPING, **process), found(process))
    hung, _ = run(fleet)
    assert hung.fault_class is FaultClass.HUNG and fleet.calls == [INSPECT]
    assert 11 - 2 <= hung.seconds - STOPPED_AT <= 11 + 4
    assert "more than 3 × 2 s (the longest so far) + 5 s" in hung.message


def test_nothing_that_was_seen_before_the_launch_itself_stood_still_counts_after_it(run, process):
    """As where a batch system suspends all of a job and lets it go on: the launch a moment before.

    It was seen stopped for 2 s before, and is for 3 s after.
    """

    class Suspended(Here):
        def wait(self, timeout_s):
            if self.now - 1000.0 >= STOPPED_AT + 2 and self.continues_at == float("inf"):
                self.now += 20.0
                self.continues_at = self.now - 1000.0 + 3.0
            return super().wait(timeout_s)

    beat = replace(STEPPING, longest_s=0.1, **process)
    fleet = Suspended(beat, found(process), recovers_at=1000.0 + 100.0)
    (done,) = run(fleet)
    assert done.result is Result.DONE and END not in fleet.calls and not fleet.is_dead


def test_what_the_last_look_finds_at_work_again_is_not_ended(run):
    fleet = Steps(STEPPING, HANGS, recovers_at=1100.0)
    stopped = fleet.is_stopped
    fleet.is_stopped = lambda at: stopped(at) and not fleet.num_looks
    fleet.finding = replace(HANGS, **MOVES)
    fleet.beats = lambda at: not STOPPED_AT <= at < STOPPED_AT + 30
    (done,) = run(fleet)
    assert done.result is Result.DONE and END not in fleet.calls
