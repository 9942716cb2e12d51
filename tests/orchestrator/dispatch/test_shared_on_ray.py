"""One job shared by several real processes on a real Ray, and one of them killed."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from orchestrator.dispatch.requests import ask_to_cancel
from orchestrator.records.events import Ended, LaunchState, Submitted
from orchestrator.records.failure import Result
from orchestrator.records.ledger import read_events
from tests.real_ray import TICK, shared_ray

PARTS = 10


@pytest.fixture(scope="module")
def ray():
    with shared_ray(num_cpus=5) as executor:
        yield executor


def events_of(root, job, kind):
    return [e for e in read_events(root, "study") if isinstance(e, kind) and e.key == job.key]


def parts_of(launch, job):
    """Attempt -> parts that it did itself."""
    artifact = launch.artifact(job)
    folders = {name: artifact.attempt_folder(name) for name in artifact.attempts()}
    return {
        name: set(artifact.storage.list(f"{folder}/scratch/parts"))
        for name, folder in folders.items()
    }


def until_claimed_by(artifact, count):
    """Process ids at a job, once there are `count`: those that have its claim open."""
    claim = str(artifact.storage.path(f"{artifact.folder}/claim"))
    until = time.monotonic() + 60
    while time.monotonic() < until:
        found = {pid for pid in _processes() if claim in _open_files(pid)}
        if len(found) >= count:
            return found
        TICK.wait(0.02)
    raise AssertionError(f"fewer than {count} processes have {claim} open")


def _processes():
    return [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]


def _open_files(pid):
    found = set()
    try:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            found.add(os.readlink(entry))
    except OSError:
        return found
    return found


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_so_many_processes_share_a_job_and_its_bytes_are_the_same(
    ray, launch, make_probe, root, workers
):
    job = make_probe(0, seconds=3.0, parts=PARTS, workers=workers)
    report = launch([job], executor=ray, executor_name="ray")

    assert (report.state, report.ran) == (LaunchState.COMPLETE, [job.key])
    assert len(events_of(root, job, Submitted)) == workers
    results = [event.result for event in events_of(root, job, Ended)]
    assert results.count(Result.DONE) == 1
    assert results.count(Result.REUSED) == workers - 1
    shares = parts_of(launch, job)
    assert set().union(*shares.values()) == {str(number) for number in range(PARTS)}
    assert len([share for share in shares.values() if share]) >= min(workers, 2)
    record = launch.artifact(job).record
    assert (list(record.files), record.files["probe.txt"].bytes) == (["probe.txt"], 2)


def test_a_killed_process_costs_its_part_and_the_others_take_over(ray, launch, make_probe, root):
    job = make_probe(0, seconds=6.0, parts=PARTS, workers=3)
    artifact = launch.artifact(job)

    def kill():
        os.kill(min(until_claimed_by(artifact, 3)), signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    report = launch([job], executor=ray, executor_name="ray")
    killer.join()

    assert report.state is LaunchState.COMPLETE
    results = [event.result for event in events_of(root, job, Ended)]
    assert results.count(Result.LOST) == 1
    assert results.count(Result.DONE) == 1
    shares = parts_of(launch, job)
    assert set().union(*shares.values()) == {str(number) for number in range(PARTS)}


def test_cancelling_a_shared_job_frees_every_process(ray, launch, make_probe, root):
    endless = make_probe(0, seconds=36000, parts=PARTS, workers=3)
    artifact = launch.artifact(endless)

    def cancel():
        try:
            until_claimed_by(artifact, 3)
        finally:
            ask_to_cancel(root, "study", [endless.key])

    canceller = threading.Thread(target=cancel, daemon=True)
    canceller.start()
    report = launch([endless], executor=ray, executor_name="ray")
    canceller.join()

    assert report.cancelled == [endless.key]
    results = [event.result for event in events_of(root, endless, Ended)]
    assert results == [Result.CANCELLED] * 3
    wide = make_probe(1, num_cpus=5)
    assert launch([wide], executor=ray, executor_name="ray").ran == [wide.key]
