"""Jobs that hang on a real Ray, each in its own way: evidence kept, ended, tried again."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from orchestrator.dispatch import submitter
from orchestrator.dispatch.watcher import Watcher
from orchestrator.records.events import Ended, LaunchState
from orchestrator.records.failure import Result
from orchestrator.records.ledger import read_events
from orchestrator.records.lock import current_holder
from orchestrator.watchdog.limits import Limits
from tests.orchestrator.watchdog import hanging
from tests.real_ray import TICK

BEYOND_S = 20.0
"""A process may take so long to be seen stopped, looked at, and ended where others compute."""
LIMITS = Limits(step_slack_s=4.0, slow_slack_s=1.0)


class Notes(Watcher):
    def __init__(self):
        self.texts = []

    def note_liveness(self, job, attempt, text):
        self.texts.append(text)


@pytest.fixture
def watched(ray, launch, monkeypatch):
    monkeypatch.setattr(submitter, "ENTRY", hanging.ENTRY)
    notes = Notes()

    def run(*jobs, **options):
        more = {"executor": ray, "executor_name": "ray", "watcher": notes, "limits": LIMITS}
        return launch(jobs, **{**more, **options})

    run.notes = notes.texts
    return run


def endings(root, job):
    return [
        event
        for event in read_events(root, "study")
        if isinstance(event, Ended)
        if event.key == job.key
    ]


def stacks(launch, job):
    folder = launch.root.path(launch.artifact(job).folder)
    return {path.name: path.read_text() for path in sorted(folder.glob("attempts/*/stacks/*.txt"))}


@pytest.mark.slow
@pytest.mark.parametrize("way", [hanging.LOCK, hanging.HOLDS_INTERPRETER, hanging.SPINS])
def test_a_job_that_hangs_is_ended_with_its_stacks_and_tried_again(
    watched, launch, make_probe, root, way
):
    job = make_probe(way, seconds=1.0)
    report = watched(job)
    assert report.state is LaunchState.COMPLETE
    hung, done = endings(root, job)
    assert (hung.result, hung.fault_class.value) == (Result.ERROR, "hung")
    assert "no step for" in hung.message and "of 30, more than 3 × 0." in hung.message
    assert done.result is Result.DONE
    kept = stacks(launch, job)
    assert list(kept) == ["0-1.txt"] and "in _hang" in kept["0-1.txt"]
    assert "stacks/0-1.txt" in hung.message


@pytest.mark.slow
def test_of_a_gang_that_waits_for_one_rank_that_rank_is_named(watched, launch, make_probe, root):
    job = make_probe(hanging.COLLECTIVE, seconds=1.0, num_ranks=2)
    report = watched(job)
    assert report.state is LaunchState.COMPLETE
    hung, done = endings(root, job)
    assert (hung.fault_class.value, done.result) == ("hung", Result.DONE)
    assert "rank 1 on" in hung.message and "the other 1 rank wait" in hung.message
    kept = stacks(launch, job)
    assert list(kept) == ["0-1.txt", "1-1.txt"]
    assert "all_reduce" in kept["0-1.txt"] and "all_reduce" not in kept["1-1.txt"]


@pytest.mark.slow
def test_a_process_that_was_stopped_is_ended_and_says_so(watched, launch, make_probe, root):
    """Long before a step of it would take too long: 10 minutes beyond three of its steps."""
    job = make_probe(hanging.STOPPED, seconds=1.0)
    stopped_at = []

    def stop():
        folder = root.path(launch.artifact(job).folder)
        while not (beats := [*folder.glob("attempts/*/alive/0.json")]):
            TICK.wait(0.05)
        TICK.wait(2.0)
        os.kill(json.loads(beats[0].read_text())["pid"], signal.SIGSTOP)
        stopped_at.append(time.time())

    stopper = threading.Thread(target=stop, daemon=True)
    stopper.start()
    report = watched(job, limits=Limits(step_slack_s=600.0))
    stopper.join()
    assert report.state is LaunchState.COMPLETE
    hung, done = endings(root, job)
    assert (hung.fault_class.value, done.result) == ("hung", Result.DONE)
    assert 3.0 < hung.at - stopped_at[0] < Limits().stopped_slack_s + BEYOND_S
    assert "is stopped by a signal (state T of the kernel" in hung.message
    assert " + 5 s, and stopped by a signal in every look for" in hung.message
    assert "state: stopped by a signal" in stacks(launch, job)["0-1.txt"]


@pytest.mark.slow
def test_a_slow_job_that_moves_is_told_of_and_never_ended(watched, launch, make_probe, root):
    job = make_probe(hanging.SLOW, seconds=1.0)
    report = watched(job)
    assert report.state is LaunchState.COMPLETE
    assert [event.result for event in endings(root, job)] == [Result.DONE]
    assert any("but it moves: it is slow" in text for text in watched.notes)
    assert any(text.startswith("slow: step 20 of 30") for text in watched.notes)


@pytest.mark.slow
def test_a_launch_that_was_stopped_and_goes_on_ends_nothing_and_was_said_to_be_silent(root):
    """It stands still for longer than the limit, while the job goes on and then waits for it."""
    module = "tests.orchestrator.watchdog.stopped_launch"
    process = subprocess.Popen([sys.executable, "-m", module, root.url])
    try:
        until = time.monotonic() + 120
        while not (beats := [*Path(root.url).glob("artifacts/*/*/attempts/*/alive/0.json")]):
            assert process.poll() is None and time.monotonic() < until
            TICK.wait(0.1)
        worker = json.loads(beats[0].read_text())["pid"]
        for pid in (process.pid, worker):  # as a laptop that sleeps
            os.kill(pid, signal.SIGSTOP)
        TICK.wait(12.0)
        assert "wakes it" in str(current_holder(root, "study"))
        os.kill(worker, signal.SIGCONT)
        TICK.wait(1.0)
        os.kill(process.pid, signal.SIGCONT)
        assert process.wait(150) == 0
    finally:
        process.kill()
        process.wait()
    ended = [event.result for event in read_events(root, "study") if isinstance(event, Ended)]
    assert ended == [Result.DONE]
