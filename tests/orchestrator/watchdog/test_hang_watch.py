"""What a launch does about a job that looks hung, by a clock that only waiting moves."""

import subprocess
from dataclasses import replace
from types import SimpleNamespace

import pytest

from cluster.errors import SurroundingsError
from cluster.executor import NodeRoom
from cluster.fault_classes import FaultClass
from cluster.machine.process_stat import process_stat
from cluster.machine.resources import Resources
from jobs.artifacts.artifact import Artifact
from jobs.liveness.inspection import END, INSPECT
from orchestrator.dispatch import hang_watch
from orchestrator.dispatch.batches import Batches
from orchestrator.dispatch.hang_watch import HangWatch
from orchestrator.records.failure import Result
from orchestrator.watchdog.limits import Limits
from tests.orchestrator.watchdog.fleet import HANGS, MOVES, STEPPING, WORKING, Fleet

LIMIT_S = 3 * 2.0 + 20.0
"""How long a step of the fleet may take."""


def test_what_hangs_is_looked_at_then_killed_and_its_stacks_are_kept(run, root):
    fleet = Fleet(STEPPING, HANGS)
    hung, done = run(fleet)
    assert (hung.result, hung.fault_class, done.result) == (
        *(Result.ERROR, FaultClass.HUNG),
        Result.DONE,
    )
    assert fleet.calls == [INSPECT, INSPECT, END]  # at half the limit, and before the limit
    assert LIMIT_S <= hung.seconds <= LIMIT_S + 4  # looks are 2 s apart here
    assert len(fleet.texts) == 2  # slow, and hung: once each
    names = [name for name in root.walk("artifacts") if "/stacks/" in name]
    assert [name.rpartition("/")[2] for name in names] == ["0-1.txt", "0-2.txt"]
    assert b"where" in root.read(names[-1])


def test_the_next_try_is_prepared_for_once_at_half_the_limit(run):
    fleet = Fleet(STEPPING, HANGS)
    hung, _ = run(fleet)
    ((ticket, at),) = fleet.expected
    assert ticket == hung.attempt and LIMIT_S / 2 <= at <= LIMIT_S / 2 + 4


def test_no_next_try_is_prepared_for_where_a_step_is_only_slow(run):
    slow = Fleet(replace(STEPPING, longest_s=8.0), HANGS, recovers_at=1000.0 + 20)
    (done,) = run(slow)
    assert done.result is Result.DONE and [text[:4] for text in slow.texts] == ["slow"]
    assert not slow.expected


def test_of_a_long_step_the_next_try_is_prepared_for_half_a_minute_before_its_limit(run):
    fleet = Fleet(replace(STEPPING, longest_s=100.0), HANGS)
    run(fleet)
    ((_, at),) = fleet.expected
    assert 320 - 30 <= at <= 320 - 30 + 4


def test_the_last_look_begins_as_long_before_the_limit_as_looks_take(run):
    fleet = Fleet(STEPPING, HANGS, takes_s=4.0)
    hung, _ = run(fleet)
    assert fleet.calls == [INSPECT, INSPECT, END]
    assert LIMIT_S <= hung.seconds <= LIMIT_S + 4
    half, last = fleet.looked_at
    assert (
        LIMIT_S / 2 <= half <= LIMIT_S / 2 + 4 and LIMIT_S - 8 <= last <= LIMIT_S - 4
    )  # looks are 2 s apart


def test_a_look_that_takes_longer_than_was_foreseen_is_waited_for(run):
    fleet = Fleet(STEPPING, HANGS, takes_s=10.0)
    hung, _ = run(fleet)
    assert fleet.calls == [INSPECT, INSPECT, END]
    assert LIMIT_S + 4 < hung.seconds < LIMIT_S + 20


@pytest.mark.parametrize("moves_at", [23.0, 24.0, 25.0])
def test_what_gets_on_between_the_last_look_and_its_limit_goes_on_as_if_nothing_were(
    run, root, moves_at
):
    class GetsOn(Fleet):
        def _beat(self, assignment, since):
            has_moved = self.now - 1000.0 >= moves_at
            if has_moved:
                self.heartbeat = replace(STEPPING, step=10)
            super()._beat(assignment, since + moves_at if has_moved else since)

    fleet = GetsOn(STEPPING, HANGS, takes_s=4.0, recovers_at=1000.0 + moves_at + 14)
    (done,) = run(fleet)
    assert done.result is Result.DONE and fleet.calls == [INSPECT, INSPECT]
    assert [text.partition(":")[0] for text in fleet.texts] == ["slow"]
    names = [name.rpartition("/")[2] for name in root.walk("artifacts") if "/stacks/" in name]
    assert names == ["0-1.txt"]  # what was seen in advance is not kept


def test_what_was_stopped_at_the_last_look_and_beats_again_is_looked_at_anew(run):
    def look(number):
        return replace(HANGS, state="T") if number == 2 else replace(HANGS, **MOVES)

    fleet = Fleet(STEPPING, look, beats=lambda now: not 26 < now < 33, recovers_at=1100.0)
    (done,) = run(fleet)
    assert done.result is Result.DONE and END not in fleet.calls


def test_findings_are_not_believed_after_the_launch_itself_stood_still(run):
    class Stops(Fleet):
        def wait(self, timeout_s):
            if len(self.looked_at) == 2 and not self.has_stood:
                self.has_stood = True
                self.now += 3600.0
            return super().wait(timeout_s)

    fleet = Stops(STEPPING, lambda number: HANGS if number < 3 else replace(HANGS, **MOVES))
    fleet.has_stood, fleet.recovers_at = False, 1000.0 + 3600 + 100
    (done,) = run(fleet)
    assert done.result is Result.DONE and END not in fleet.calls


@pytest.mark.parametrize(
    "change",
    [
        {"is_root_away": True},  # it may be waiting for the storage
        MOVES,
    ],
)
def test_what_waits_for_its_storage_or_moves_is_told_of_and_goes_on(run, change):
    fleet = Fleet(STEPPING, replace(HANGS, **change), recovers_at=1300.0)
    (done,) = run(fleet)
    assert done.result is Result.DONE and END not in fleet.calls and "cancel" not in fleet.calls
    assert any("but" in text for text in fleet.texts) and 2 < fleet.num_looks < 8


def test_a_loop_that_waits_is_in_several_places_and_hangs_all_the_same(run):
    hung, _ = run(Fleet(STEPPING, replace(HANGS, places=["a", "b"], cpu_share=0.01)))
    assert hung.fault_class is FaultClass.HUNG


@pytest.mark.parametrize("change", [{"state": "R", "cpu_share": 1.0}, {"state": "D"}])
def test_a_job_without_steps_that_computes_or_reads_without_a_beat_goes_on(run, change):
    busy = replace(HANGS, **change)
    fleet = Fleet(WORKING, busy, beats=lambda now: now < 20, recovers_at=1500.0)
    (done,) = run(fleet)
    assert done.result is Result.DONE and fleet.num_looks > 2


@pytest.mark.parametrize("finding, looks", [(HANGS, 2), (replace(HANGS, state="T"), 1)])
def test_a_silent_job_without_steps_is_ended_where_it_is_stopped_or_idle_twice(run, finding, looks):
    fleet = Fleet(WORKING, finding, beats=lambda now: now < 20)
    hung, _ = run(fleet)
    assert hung.fault_class is FaultClass.HUNG and fleet.num_looks == looks


def test_what_hangs_on_this_machine_is_ended_at_once_without_a_call(run):
    child = subprocess.Popen(["sleep", "600"])
    started = process_stat(child.pid).started

    class Here(Fleet):
        is_dead = False

        def rooms(self):
            whole = Resources(num_cpus=1)
            return [NodeRoom(name="id", address="n1", offers=whole, free=whole, is_here=True)]

        def wait(self, timeout_s):
            if child.poll() is not None and not self.is_dead:
                self.is_dead = True
                self._die()
            return super().wait(timeout_s)

    try:
        beat = replace(STEPPING, pid=child.pid, started=started)
        fleet = Here(beat, replace(HANGS, pid=child.pid))
        hung, _ = run(fleet)
    finally:
        child.kill()
        assert child.wait() == -9
    assert hung.fault_class is FaultClass.HUNG and fleet.calls == [INSPECT, INSPECT]


def test_where_no_node_answers_the_executor_ends_it(run):
    fleet = Fleet(STEPPING, None)
    hung, _ = run(fleet)
    assert hung.fault_class is FaultClass.HUNG and fleet.calls[-1] == "cancel"


def test_what_begins_and_never_gives_a_sign_of_life_is_ended(run):
    class Mute(Fleet):
        def _beat(self, assignment, since):
            artifact = Artifact(self.root, assignment["kind"], assignment["key"])
            self.root.make_folder(artifact.attempt_folder(assignment["attempt"]))

    fleet = Mute(WORKING, HANGS)
    hung, _ = run(fleet)
    assert hung.fault_class is FaultClass.HUNG and "sign of life" in hung.message
    assert 240 <= hung.seconds <= 300 and fleet.calls == ["cancel"]


def test_what_is_queued_may_wait_however_long(run):
    fleet = Fleet(WORKING, HANGS, beats=lambda now: False, recovers_at=1600.0)
    (done,) = run(fleet)
    assert done.result is Result.DONE and not fleet.calls


def test_what_a_kill_does_not_end_the_executor_is_asked_to_end(run):
    fleet = Fleet(STEPPING, HANGS, dies_of_kill=False)
    hung, _ = run(fleet)
    assert fleet.calls[-2:] == [END, "cancel"] and hung.fault_class is FaultClass.HUNG


def test_while_the_root_takes_no_write_and_a_while_after_nothing_is_ended(run, root, monkeypatch):
    fleet, write = Fleet(STEPPING, HANGS, recovers_at=1160.0), root.write

    def refuse(name, data):
        if fleet.now < 1150.0 and "alive" in name:
            raise SurroundingsError("away", fault_class=FaultClass.STORAGE_AWAY)
        write(name, data)

    monkeypatch.setattr(root, "write", refuse)
    (done,) = run(fleet)
    assert done.result is Result.DONE and END not in fleet.calls


def test_looks_that_take_long_are_shared_out_over_several_rounds(root, monkeypatch):
    now, seen = [1000.0], []

    def read_slowly(storage, folder):
        seen.append(folder.rpartition("/")[2])
        now[0] += 0.15
        return ()

    monkeypatch.setattr(hang_watch, "read_heartbeats", read_slowly)
    names = [f"l-{number}" for number in range(6)]
    at_work = SimpleNamespace(key="0" * 64, since=0.0)
    launch = SimpleNamespace(
        id="l",
        assigner=SimpleNamespace(storage=root),
        executor=SimpleNamespace(),
        patience=SimpleNamespace(clock=lambda: now[0]),
        limits=Limits(),
        states=SimpleNamespace(jobs={at_work.key: SimpleNamespace(kind="probe")}),
    )
    running = SimpleNamespace(running=dict.fromkeys(names, at_work), batches=Batches())
    watch = HangWatch(launch, running)
    for looked in (names[:2], names[2:4], names[4:], names[:2]):
        seen.clear()
        watch.look()
        assert seen == looked
        now[0] += 1.0
