"""Heartbeats: written while a job computes, not for short jobs; read whatever is damaged."""

import sys
import threading
import time

import pytest

from cluster.machine import gpu_use
from cluster.storage import Storage
from jobs.liveness import beating as beating_module
from jobs.liveness.beating import beating
from jobs.liveness.heartbeat import Heartbeat, Phase, heartbeat_name, read_heartbeats
from jobs.liveness.pulse import Pulse
from tests.cluster.machine.test_visible_gpus import put_program
from tests.jobs.liveness.test_held_gpus import a_torch

FOLDER = "artifacts/probe/0123/attempts/one"


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(beating_module, "BEAT_EVERY_S", {True: 0.02, False: 0.02})


@pytest.fixture(params=["local", "memory"])
def storage(request, tmp_path):
    local = request.param == "local"
    made = Storage(str(tmp_path) if local else f"memory://{tmp_path.name}-alive")
    if local:
        made.make_folder(FOLDER)
    return made


def first_beat_after(storage, beat, within_s=10.0):
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        for heartbeat in read_heartbeats(storage, FOLDER):
            if heartbeat.beat > beat:
                return heartbeat
        threading.Event().wait(0.005)
    raise AssertionError(f"no heartbeat after {beat}")


def test_beats_go_on_while_the_main_thread_computes(storage, quick):
    with beating(Pulse(3), storage, FOLDER, "node-1"):
        first = first_beat_after(storage, -1)
        beat, total = first.beat, 0
        while beat < first.beat + 3:  # never sleeps, never lets go of the interpreter by itself
            total += sum(range(2000))
            beat = max((one.beat for one in read_heartbeats(storage, FOLDER)), default=0)
    assert (first.rank, first.node, first.phase) == (3, "node-1", Phase.PLACING)
    assert first.pid and first.memory_gb


def test_a_beat_is_written_before_the_load_is_looked_at(storage, quick, monkeypatch):
    may_answer = threading.Event()

    class Hangs(gpu_use.GpuUse):
        def look(self, uuids):
            assert may_answer.wait(30)
            raise RuntimeError("the driver is out of order")

    monkeypatch.setattr(beating_module._BEATER, "gpu_use", Hangs())
    with beating(Pulse(), storage, FOLDER, "node-1"):
        first = first_beat_after(storage, -1)  # while the look hangs
        may_answer.set()
        assert first_beat_after(storage, first.beat + 2)


def test_a_job_that_ends_before_its_first_beat_leaves_no_file(storage):
    for _ in range(3):
        with beating(Pulse(), storage, FOLDER, "node-1"):
            pass
    assert read_heartbeats(storage, FOLDER) == []
    assert sum(thread.name == "signs of life" for thread in threading.enumerate()) <= 1


def test_one_thread_serves_one_attempt_after_the_other(storage, quick):
    for rank in range(3):
        with beating(Pulse(rank), storage, FOLDER, "node-1"):
            until = time.monotonic() + 10
            while time.monotonic() < until:
                if [one.rank for one in read_heartbeats(storage, FOLDER)] == [*range(rank + 1)]:
                    break
    assert [one.rank for one in read_heartbeats(storage, FOLDER)] == [0, 1, 2]


def test_one_that_is_being_published_beats_beside_the_next_one_and_says_when_it_is_over(
    storage, quick
):
    with beating(Pulse(0), storage, FOLDER, "node-1"):
        with beating(Pulse(1), storage, FOLDER, "node-1"):
            first_beat_after(storage, -1)
            until = time.monotonic() + 10
            while len(read_heartbeats(storage, FOLDER)) < 2 and time.monotonic() < until:
                threading.Event().wait(0.005)
        first, second = read_heartbeats(storage, FOLDER)
        assert second.is_over == storage.is_local and not first.is_over
        assert first_beat_after(storage, max(first.beat, second.beat)).rank == 0


def test_a_heartbeat_is_read_as_it_was_written_and_damage_is_left_out(storage):
    written = Heartbeat(rank=1, beat=7, phase=Phase.SAVING, step=4, steps=9, unit="step")
    storage.write(heartbeat_name(FOLDER, 1), written.to_json().encode())
    storage.write(heartbeat_name(FOLDER, 0), b'{"rank": 0, "bea')
    storage.write(heartbeat_name(FOLDER, 2), b'{"rank": 2, "beat": 1, "later": "field"}')
    assert read_heartbeats(storage, FOLDER) == [written, Heartbeat(rank=2, beat=1)]


def test_a_step_is_timed_without_what_stands_between_two_steps(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    pulse = Pulse()

    def after(seconds, action, *arguments):
        now[0] += seconds
        action(*arguments)

    after(50, pulse.enter, Phase.COMPILING)
    after(40, pulse.note_step, 1, 9)  # the first step compiles: it says nothing of the others
    after(2, pulse.note_step, 2, 9)
    after(0, pulse.enter, Phase.VALIDATING)
    after(60, pulse.enter, Phase.STEPPING)
    after(3, pulse.note_step, 3, 9)
    after(1, pulse.enter, Phase.SAVING)
    now[0] += 5
    seen = pulse.read(0)
    assert (seen.step, seen.steps, seen.longest_s, seen.median_s) == (3, 9, 3.0, 2.5)
    assert (seen.rate, seen.idle_s, seen.phase) == (0.4, 5.0, Phase.SAVING)


def test_progress_of_a_kind_without_steps_counts_its_parts():
    pulse = Pulse()
    pulse.note_progress(None, "loading the model")
    assert pulse.phase is Phase.LOADING
    for fraction in (0.25, 0.25, 0.5):
        pulse.note_progress(fraction, "reading")
    assert (pulse.step, pulse.read(0).unit) == (2, "part")
    pulse.note_progress(None, "writing tables")
    assert pulse.phase is Phase.WORKING
    pulse.note_step(1, 9)
    pulse.note_progress(0.9, "step 1 of 9")  # what counts steps tells its progress as well
    assert (pulse.step, pulse.read(0).unit) == (1, "step")


@pytest.mark.parametrize(
    ("program", "use"),
    [("echo 80", 0.8), ("echo '[N/A]'", None), ("exec sleep 600", None), ("echo rubbish", None)],
)
def test_heartbeats_carry_memory_and_use(storage, quick, tmp_path, monkeypatch, program, use):
    monkeypatch.setattr(beating_module._BEATER, "gpu_use", gpu_use.GpuUse())
    monkeypatch.setattr(gpu_use, "_PATIENCE_S", 0.3)
    put_program(tmp_path, monkeypatch, f"#!/bin/sh\n{program}\n", None)
    monkeypatch.setitem(sys.modules, "torch", a_torch(4 * 10**9))
    pulse = Pulse(has_gpus=True)
    pulse.note_step(1, 9)
    with beating(pulse, storage, FOLDER, "node-1"):
        beat = first_beat_after(storage, -1)
        while beat.beat < 200 and (beat.gpu_use is None or use is None):
            beat = first_beat_after(storage, beat.beat)  # beats go on, whatever the driver does
            if use is None and beat.beat > 25:
                break
    assert (beat.gpu_memory_gb, beat.gpu_use) == (4.0, use)
