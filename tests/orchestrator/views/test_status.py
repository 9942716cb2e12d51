import json
import os
import time

import pytest

from cluster.executors.local import Executor as LocalExecutor
from cluster.fault_classes import FaultClass
from orchestrator.dispatch import batches
from orchestrator.dispatch.requests import ask_to_cancel
from orchestrator.dispatch.watcher import Watcher
from orchestrator.records.events import (
    Ended,
    LaunchEnded,
    LaunchStarted,
    Stopping,
    Submitted,
    Waiting,
)
from orchestrator.records.failure import Result
from orchestrator.records.history import gather, read_history
from orchestrator.records.ledger import Ledger, read_events
from orchestrator.records.lock import study_lock
from orchestrator.views.status import status_of


def status(launch, jobs):
    done = {job.key for job in jobs if launch.artifact(job).find_record()}
    found = status_of(
        launch.root, "study", jobs, done=done, past=read_history(launch.root, "study")
    )
    json.dumps(found)  # it is told as JSON
    return found


def why(found, job):
    (one,) = [one for one in found["unfinished"] if one["key"] == job.key]
    return one["state"], one["why"]


def test_a_study_that_was_never_launched_is_new_and_everything_waits(launch, make_probe):
    first = make_probe(0)
    second = make_probe(1, after=first)

    found = status(launch, [first, second])

    assert found["state"] == "new"
    assert found["jobs"] == {"done": 0, "running": 0, "waiting": 2, "blocked": 0, "failed": 0}
    assert why(found, first) == ("waiting", "not launched yet")
    assert why(found, second) == ("waiting", "needs probes[index=0] (waiting)")


def test_failed_and_blocked_jobs_say_why(launch, make_probe):
    bad = make_probe(0, fail=True)
    below = make_probe(1, after=bad)
    other = make_probe(2)
    launch([bad, below, other])

    found = status(launch, [bad, below, other])

    assert found["state"] == "failed"
    assert found["jobs"] == {"done": 1, "running": 0, "waiting": 0, "blocked": 1, "failed": 1}
    assert "told to fail" in why(found, bad)[1]
    assert why(found, below) == ("blocked", "probes[index=0] is failed")
    assert found["attempts"] == 2
    assert found["launch"]["ended"] is not None


def test_a_study_that_got_more_jobs_since_it_was_complete_is_not_complete(launch, make_probe):
    jobs = [make_probe(0)]
    launch(jobs)
    found = status(launch, [*jobs, make_probe(1)])
    assert (found["state"], found["jobs"]["waiting"]) == ("new", 1)


def test_a_finished_study_is_complete_and_nothing_is_left(launch, make_probe):
    jobs = [make_probe(index) for index in range(3)]
    launch(jobs)

    found = status(launch, jobs)

    assert found["state"] == "complete"
    assert found["jobs"]["done"] == 3
    assert found["unfinished"] == []
    assert found["eta_seconds"] is None


def test_a_running_launch_shows_what_runs_how_far_it_is_and_what_waits_for_it(launch, make_probe):
    done, running, queued = (make_probe(index) for index in range(3))
    below = make_probe(3, after=running)
    launch([done])
    ledger = Ledger(launch.root, "study", "9")
    event = LaunchStarted(at=1.0, launch="9", host="h", pid=1, executor="ray", fresh=False)
    ledger.append(event)
    ledger.append(Submitted(at=time.time(), key=running.key, attempt="9-000001"))
    ledger.close()
    folder = launch.artifact(running).attempt_folder("9-000001")
    said = {"fraction": 0.25, "doing": "step 5 of 20", "at": 2.0}
    launch.root.write(f"{folder}/progress.json", json.dumps(said).encode())

    with study_lock(launch.root, "study", "9"):
        found = status(launch, [done, running, queued, below])

    assert found["state"] == "running"
    assert found["jobs"] == {"done": 1, "running": 1, "waiting": 2, "blocked": 0, "failed": 0}
    assert "launch 9" in found["launch"]["held_by"]
    assert found["launch"]["silent_seconds"] < 60
    (one,) = [one for one in found["unfinished"] if one["key"] == running.key]
    assert (one["fraction"], one["doing"], one["why"]) == (0.25, "step 5 of 20", "attempt 1")
    assert why(found, queued) == ("waiting", "all resources are in use")
    assert why(found, below) == ("waiting", "needs probes[index=1] (running)")
    assert found["eta_seconds"] >= 0

    with study_lock(launch.root, "study", "9"):
        os.utime(launch.root.path("studies/study/lock"), (0, 0))  # as of one that is stopped
        found = status(launch, [done, running, queued, below])
    assert "no sign of life since" in found["launch"]["held_by"]
    assert found["launch"]["silent_seconds"] > 60

    # Its lock is free now: the launch is gone, and what ran is not running any more.
    found = status(launch, [done, running, queued, below])
    assert found["state"] == "interrupted"
    assert why(found, running) == ("waiting", "its launch ended first; the next one runs it")


@pytest.mark.parametrize("chosen", ["some jobs", "the launch"])
def test_what_waits_while_a_launch_or_some_jobs_are_cancelled_says_so(
    launch, make_probe, chosen, monkeypatch
):
    monkeypatch.setattr(batches, "_MOST_JOBS", 1)
    endless, queued = make_probe(0, seconds=3600), make_probe(1)
    below = make_probe(2, after=endless)  # what others wait for begins first
    jobs = [endless, queued, below]

    class Cancels(Watcher):
        def note_start(self, job, attempt):
            assert job.key == endless.key or chosen == "some jobs"
            keys = [endless.key, queued.key] if chosen == "some jobs" else None
            ask_to_cancel(launch.root, "study", keys)

    launch(jobs, watcher=Cancels())

    events = list(read_events(launch.root, "study"))
    (told,) = [event for event in events if isinstance(event, Stopping)][:1]
    until_then = gather(events[: events.index(told) + 1])  # as it is read while the others save
    with study_lock(launch.root, "study", until_then.launch.launch):
        found = status_of(launch.root, "study", jobs, done=set(), past=until_then)
    stop = "the launch is being cancelled: what runs may save, nothing more starts"
    if chosen == "the launch":
        assert why(found, queued) == why(found, below) == ("waiting", stop)
        assert found["launch"]["stops_as"] == "cancelled"
        assert {group["why"] for group in found["waiting"]} == {stop}
    else:
        assert why(found, queued) == ("waiting", "cancelled; the next launch runs it")
        assert found["launch"]["stops_as"] is None
    # The next launch may start all of them again.
    event = LaunchStarted(at=1.0, launch="9", host="h", pid=1, executor="ray", fresh=False)
    anew = gather([*events, event])
    with study_lock(launch.root, "study", "9"):
        found = status_of(launch.root, "study", jobs, done=set(), past=anew)
    assert why(found, queued) == ("waiting", "all resources are in use")


def test_status_says_what_a_launch_waits_for_since_when_and_what_it_gave_up_on(launch, make_probe):
    job = make_probe(0)
    ledger = Ledger(launch.root, "study", "9")
    ledger.append(LaunchStarted(at=1.0, launch="9", host="h", pid=1, executor="ray", fresh=False))
    away = {"fault_class": FaultClass.HOST_MEMORY, "message": "50 GB are held by python"}
    attempt = {"key": job.key, "attempt": "9-000001"}
    ledger.append(Submitted(at=2.0, **attempt))
    ledger.append(Ended(at=3.0, result=Result.LOST, seconds=1.0, **attempt, **away))
    ledger.append(Waiting(at=4.0, since=3.0, **away))
    ledger.flush()

    with study_lock(launch.root, "study", "9"):
        found = status(launch, [job])
    assert found["waits_for"]["line"].startswith("waiting for memory on the host since 1970-01-01")
    assert found["waits_for"]["since"] == 3.0
    assert why(found, job)[1] == "waits for memory on the host: 50 GB are held by python"
    assert found["waiting"][0]["why"] == "wait for memory on the host"

    ledger.append(LaunchEnded(at=9.0, launch="9", state="suspended"))
    ledger.flush()
    found = status(launch, [job])
    assert found["state"] == "suspended"
    assert found["waits_for"]["line"].startswith("gave up waiting for memory on the host since")

    ledger.append(Waiting(at=10.0))
    ledger.close()
    with study_lock(launch.root, "study", "9"):
        assert status(launch, [job])["waits_for"] is None


def test_a_cancelled_job_waits_for_the_next_launch(launch, make_probe, root):
    job = make_probe(0)

    class AsksWhileItRuns(LocalExecutor):
        def submit(self, *call):
            ask_to_cancel(root, "study", [job.key])
            super().submit(*call)

        def wait(self, timeout_s):
            return super().wait(timeout_s) if self._cancelled else []

    launch([job], executor=AsksWhileItRuns())

    found = status(launch, [job])
    assert found["state"] == "failed"
    assert why(found, job) == ("waiting", "cancelled; the next launch runs it")


def test_status_says_how_a_job_was_laid_out_and_counts_the_gpus_of_every_attempt(
    launch, make_probe
):
    jobs = [make_probe(0, num_gpus=2, fail=True), make_probe(1, holds_gb=1, pieces=2, fail=True)]
    launch(jobs)

    found = status(launch, jobs)
    plain, laid_out = found["unfinished"]

    assert (plain["num_gpus"], plain["execution"], plain["fitted_by"]) == (2, {}, None)
    assert (laid_out["execution"], laid_out["peak_memory_gb"]) == ({"pieces": 2}, 0.5)

    ledger = Ledger(launch.root, "study", "9")
    ledger.append(Submitted(at=1.0, key=jobs[0].key, attempt="9-000001", num_gpus=16))
    ended = {"key": jobs[0].key, "attempt": "9-000001", "result": Result.LOST}
    ledger.append(Ended(at=2.0, seconds=1800, **ended))
    ledger.close()
    assert status(launch, jobs)["gpu_hours_used"] == pytest.approx(8, abs=0.01)
