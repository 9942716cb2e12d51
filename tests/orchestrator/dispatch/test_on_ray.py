"""The dispatcher on a real Ray: processes killed, one job or everything cancelled."""

import os
import signal
import threading
import time

import pytest

from orchestrator.diagnosis.evidence import read_evidence
from orchestrator.dispatch.requests import ask_to_cancel
from orchestrator.records.events import Ended, LaunchState
from orchestrator.records.failure import Result
from orchestrator.records.ledger import read_events
from tests.real_ray import TICK, holder_of, process_that_holds


def in_background(act):
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    return thread


def pid_at(artifact) -> int:
    """The process that runs a job: the one that has its claim open."""
    return process_that_holds(artifact.storage.path(f"{artifact.folder}/claim"))


def pid_at_work(artifact) -> int:
    """The process that runs a job, once its first line is in the log: the log has a keeper then."""
    pid, folder = pid_at(artifact), artifact.storage.path(artifact.folder)
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if any(log.stat().st_size for log in folder.glob("attempts/*/log.txt")):
            return pid
        TICK.wait(0.02)
    raise AssertionError("the job wrote no line")


def pid_of_second_rank(artifact) -> int:
    """The second of two ranks: the process that has its log open."""
    folder = artifact.storage.path(artifact.folder)
    until = time.monotonic() + 120
    while time.monotonic() < until:
        for log in folder.glob("attempts/*/log-rank-1.txt"):
            if (pid := holder_of(str(log))) is not None:
                return pid
        TICK.wait(0.05)
    raise AssertionError("the second rank did not start")


def results_of(root, job):
    return [
        event.result
        for event in read_events(root, "study")
        if isinstance(event, Ended) and event.key == job.key
    ]


def test_a_job_whose_process_was_killed_is_lost_and_then_tried_again(ray, launch, make_probe, root):
    job = make_probe(0, seconds=1.0)
    other = make_probe(1)
    killer = in_background(lambda: os.kill(pid_at_work(launch.artifact(job)), signal.SIGKILL))

    report = launch([job, other], executor=ray, executor_name="ray")

    killer.join()
    assert report.state is LaunchState.COMPLETE
    assert results_of(root, job) == [Result.LOST, Result.DONE]
    assert results_of(root, other) == [Result.DONE]
    evidence = read_evidence(root, job, launch.artifact(job).attempts()[0])
    assert (evidence.fault_class, evidence.cause.how) == ("lost-process", "died")
    assert evidence.cause.memory["host_gb"] > 0  # the keeper of its log has seen it die


def test_a_failed_job_does_not_stop_the_others(ray, launch, make_probe):
    bad = make_probe(0, fail=True)
    below = make_probe(1, after=bad)
    others = [make_probe(index) for index in range(2, 12)]

    report = launch([bad, below, *others], executor=ray, executor_name="ray")

    assert sorted(report.ran) == sorted(job.key for job in others)
    assert (set(report.failed), set(report.blocked)) == ({bad.key}, {below.key})


def test_a_running_launch_is_cancelled_from_outside(ray, launch, make_probe, root):
    jobs = [make_probe(index, seconds=3600) for index in range(4)]

    def cancel():
        pid_at(launch.artifact(jobs[0]))
        ask_to_cancel(root, "study", None)

    canceller = in_background(cancel)
    report = launch(jobs, executor=ray, executor_name="ray")

    canceller.join()
    assert report.state is LaunchState.CANCELLED
    assert results_of(root, jobs[0]) == [Result.CANCELLED]


def test_one_running_job_is_cancelled_and_the_others_go_on(ray, launch, make_probe, root):
    endless = make_probe(0, seconds=3600)
    others = [make_probe(index) for index in range(1, 6)]

    def cancel():
        pid_at(launch.artifact(endless))
        ask_to_cancel(root, "study", [endless.key])

    canceller = in_background(cancel)
    report = launch([endless, *others], executor=ray, executor_name="ray")

    canceller.join()
    assert report.cancelled == [endless.key]
    assert sorted(report.ran) == sorted(job.key for job in others)
    assert results_of(root, endless) == [Result.CANCELLED]


@pytest.mark.slow
def test_a_gang_with_a_killed_rank_is_lost_and_tried_again_while_others_run(
    ray, launch, make_probe, root
):
    gang = make_probe(0, num_ranks=2, seconds=2.0)
    below = make_probe(1, after=gang)
    others = [make_probe(index) for index in range(2, 5)]
    artifact = launch.artifact(gang)
    killer = in_background(lambda: os.kill(pid_of_second_rank(artifact), signal.SIGKILL))

    report = launch([gang, below, *others], executor=ray, executor_name="ray")

    killer.join()
    assert report.state is LaunchState.COMPLETE
    assert results_of(root, gang) == [Result.LOST, Result.DONE]
    lost = next(event for event in read_events(root, "study") if isinstance(event, Ended)
                and event.result is Result.LOST)  # fmt: skip
    assert lost.message.startswith("rank 1 on ") and lost.rank == 1
    evidence = read_evidence(root, gang, lost.attempt)
    assert (evidence.first, list(evidence.collateral)) == (1, [0])
    assert [rank.how for rank in evidence.ranks] == ["collateral", "died"]
    assert len(report.ran) == 5


@pytest.mark.slow
def test_a_running_gang_is_cancelled_and_the_others_go_on(ray, launch, make_probe, root):
    endless = make_probe(0, num_ranks=2, seconds=3600)
    other = make_probe(1)

    def cancel():
        pid_of_second_rank(launch.artifact(endless))
        ask_to_cancel(root, "study", [endless.key])

    canceller = in_background(cancel)
    report = launch([endless, other], executor=ray, executor_name="ray")

    canceller.join()
    assert report.cancelled == [endless.key]
    assert report.ran == [other.key]
    assert results_of(root, endless) == [Result.CANCELLED]


@pytest.mark.slow
@pytest.mark.parametrize("num_ranks", [1, 2])
def test_a_hung_job_that_is_cancelled_is_killed_after_its_grace_with_all_its_ranks(
    ray, launch, make_probe, root, num_ranks
):
    hung = make_probe(0, num_ranks=num_ranks, seconds=3600)
    other = make_probe(1, seconds=1)
    ray._executor.grace_s = 3.0
    pids = []

    def hang_and_cancel():
        artifact = launch.artifact(hung)
        pids.append(pid_at(artifact) if num_ranks == 1 else pid_of_second_rank(artifact))
        os.kill(pids[0], signal.SIGSTOP)
        ask_to_cancel(root, "study", [hung.key])

    canceller = in_background(hang_and_cancel)
    began = time.monotonic()
    report = launch([hung, other], executor=ray, executor_name="ray")

    canceller.join()
    assert report.cancelled == [hung.key] and report.ran == [other.key]
    assert results_of(root, hung) == [Result.CANCELLED]
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)
    assert time.monotonic() - began < 100


def test_what_a_cancelled_job_saved_is_kept_in_the_ledger(ray, launch, make_probe, root):
    job = make_probe(0, parts=4, seconds=3600)

    def cancel():
        until, artifact = time.monotonic() + 120, launch.artifact(job)
        while not list(artifact.storage.path(artifact.folder).glob("attempts/*/progress.json")):
            assert time.monotonic() < until, "the job never was at work"
            TICK.wait(0.02)
        ask_to_cancel(root, "study", [job.key])

    canceller = in_background(cancel)
    launch([job], executor=ray, executor_name="ray")

    canceller.join()
    (ended,) = [event for event in read_events(root, "study") if isinstance(event, Ended)]
    assert ended.message.startswith("it saved its work and stopped at 0%")
