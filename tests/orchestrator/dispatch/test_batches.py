"""Several short jobs in one call: what each leaves, and what becomes of them when the call ends."""

import json
import os
import signal
import threading
from dataclasses import replace

import pytest

from cluster.executor import Ending, Outcome, Surroundings
from cluster.executors.local import Executor as LocalExecutor
from cluster.fault_classes import FaultClass
from cluster.storage import Storage
from jobs.run import run
from jobs.worker import batch
from jobs.worker.answer import Answer, State
from jobs.worker.assignment import Assignment
from jobs.worker.batch import batch_payload, do_in_turn, read_answers, turn_of
from orchestrator.dispatch import batches
from orchestrator.dispatch.batches import Batches, Pace, may_share_call
from orchestrator.records.events import Ended, LaunchState
from orchestrator.records.failure import Result
from orchestrator.records.history import read_history
from orchestrator.records.job_history import JobHistory
from orchestrator.records.ledger import read_events
from tests.real_ray import process_that_holds

ALONE = Surroundings(stop_requested=lambda: False, node="here")


class Calls(LocalExecutor):
    """Keeps the entry point and the payloads of every call."""

    def __init__(self):
        super().__init__()
        self.made = []

    def submit(self, ticket, entry, payload, resources):
        self.made.append((entry, json.loads(payload) if entry.endswith("batch") else [payload]))
        super().submit(ticket, entry, payload, resources)


class Breaking(Calls):
    """Ends the first call of several jobs in its third one, as the death of its process does."""

    def __init__(self, *, leaves_folder):
        super().__init__()
        self.leaves_folder, self.is_broken = leaves_folder, False

    def wait(self, timeout_s):
        if self.is_broken or not self._queue or not self._queue[0][1].endswith("batch"):
            return super().wait(timeout_s)
        self.is_broken = True
        ticket, _, payload = self._queue.popleft()
        first, second, third, *_ = json.loads(payload)
        run(first, ALONE)
        run(second, ALONE)
        if self.leaves_folder:
            assignment = Assignment.from_json(third)
            storage, attempt = assignment.artifact.storage, assignment.attempt
            storage.make_folder(assignment.artifact.attempt_folder(attempt))
        return [
            Outcome(
                ticket=ticket,
                ending=Ending.LOST,
                error="its process died",
                fault_class=FaultClass.LOST_PROCESS,
            )
        ]


@pytest.fixture(autouse=True)
def fours(monkeypatch):
    """Jobs go by four, however fast this machine is."""
    monkeypatch.setattr(batch, "_BEGINS_WITHIN_S", 1e6)
    monkeypatch.setattr(batches, "_OVERDUE_S", 1e6)
    monkeypatch.setattr(Pace, "most_together", lambda self, stage: 4)


def results(root):
    return [event.result for event in read_events(root, "study") if isinstance(event, Ended)]


def test_short_jobs_share_calls_and_each_leaves_what_it_would_alone(launch, make_probe, root):
    jobs, calls = [make_probe(index) for index in range(40)], Calls()

    report = launch(jobs, executor=calls)

    assert report.state is LaunchState.COMPLETE
    assert sorted(report.ran) == sorted(job.key for job in jobs)
    assert report.num_attempts == 40
    sizes = [len(payloads) for _, payloads in calls.made]
    assert sum(sizes) == 40
    assert max(sizes) == 4 and len(sizes) < 30
    assert results(root) == [Result.DONE] * 40
    attempts = [launch.artifact(job).attempts() for job in jobs]
    assert all(len(of_job) == 1 for of_job in attempts)
    assert len({attempt for (attempt,) in attempts}) == 40
    for job in jobs:
        (attempt,) = launch.artifact(job).attempts()
        log = root.read(f"{launch.artifact(job).attempt_folder(attempt)}/log.txt").decode()
        assert log.count("done after") == 1 and job.label in log


def test_a_failure_in_a_call_is_that_jobs_alone(launch, make_probe, root):
    jobs = [make_probe(index, fail=index % 5 == 3) for index in range(40)]

    report = launch(jobs, executor=Calls())

    bad = {job.key for job in jobs if job.params["fail"]}
    assert set(report.failed) == bad
    assert set(report.ran) == {job.key for job in jobs} - bad
    assert all("told to fail" in message for message in report.failed.values())


@pytest.mark.parametrize("leaves_folder", [True, False])
def test_a_process_that_dies_in_a_batch_costs_the_job_that_it_was_at(
    launch, make_probe, root, leaves_folder
):
    jobs = [make_probe(index) for index in range(40)]

    report = launch(jobs, executor=Breaking(leaves_folder=leaves_folder))

    assert report.state is LaunchState.COMPLETE
    assert sorted(report.ran) == sorted(job.key for job in jobs)
    counts = {result: results(root).count(result) for result in set(results(root))}
    lost = {Result.LOST: 1} if leaves_folder else {}
    assert counts == {Result.DONE: 40, Result.NO_ROOM: 2 - len(lost), **lost}
    charged = [job for job in jobs if read_history(root, "study").of_job(job.key).failures]
    assert len(charged) == len(lost)


def test_a_worker_killed_on_ray_in_a_batch_costs_one_job_one_try(ray, launch, make_probe, root):
    jobs = [make_probe(index, seconds=1.5 if index == 14 else 0.0) for index in range(24)]
    victim = launch.artifact(jobs[14])

    def kill():
        claim = victim.storage.path(f"{victim.folder}/claim")
        os.kill(process_that_holds(claim), signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    report = launch(jobs, executor=ray, executor_name="ray")
    killer.join()

    assert report.state is LaunchState.COMPLETE
    for number, job in enumerate(jobs):
        ended = [
            event.result
            for event in read_events(root, "study")
            if isinstance(event, Ended) and event.key == job.key
        ]
        others = [Result.LOST] if number == 14 else []
        assert [one for one in ended if one is not Result.NO_ROOM] == [*others, Result.DONE]


def test_a_job_that_was_tried_before_is_in_no_batch(make_probe):
    plain = make_probe(0)
    assert may_share_call(plain, JobHistory())
    assert not may_share_call(plain, JobHistory(num_attempts=1))
    assert not may_share_call(make_probe(0, num_gpus=1.0), JobHistory())
    assert not may_share_call(make_probe(0, num_ranks=2), JobHistory())
    assert not may_share_call(make_probe(0, parts=2, workers=2), JobHistory())
    assert not may_share_call(replace(plain, own_code={"metrics/x.py": "x"}), JobHistory())
    assert not may_share_call(replace(plain, kind="ask"), JobHistory())


def test_only_jobs_of_a_stage_known_to_be_short_go_together(monkeypatch):
    monkeypatch.undo()
    pace = Pace()
    assert pace.most_together("stage") == 1
    for _ in range(batches._FEWEST_SEEN):
        pace.learn("stage", 0.002)
    assert pace.most_together("stage") == batches._MOST_JOBS
    assert pace.most_together("other") == 1
    pace.learn("stage", 0.05)
    assert pace.most_together("stage") == 8
    pace.learn("stage", 30.0)
    assert pace.most_together("stage") == 1


def test_what_is_published_beside_other_jobs_counts_for_its_part(launch, make_probe, monkeypatch):
    assert turn_of(0.01, 0.81) == 0.11
    learned, learn = [], Pace.learn

    def note(pace, stage, seconds):
        learned.append(seconds)
        learn(pace, stage, seconds)

    monkeypatch.setattr(Pace, "learn", note)
    monkeypatch.setattr("jobs.attempt.turn_of", lambda worked_s, seconds: 0.0625)
    report = launch([make_probe(index) for index in range(15)], executor=Calls())
    assert report.state is LaunchState.COMPLETE
    assert learned.count(0.0625) > len(learned) // 2


def test_jobs_of_a_call_are_published_at_the_same_time(launch, make_probe, root, monkeypatch):
    together, create = threading.Barrier(2), Storage.create

    def waiting_for_another(storage, name, data, **options):
        if name.endswith("record.json") and threading.current_thread().name.startswith("publish"):
            together.wait(timeout=60)
        return create(storage, name, data, **options)

    monkeypatch.setattr(Storage, "create", waiting_for_another)
    jobs = [make_probe(index) for index in range(15)]

    report = launch(jobs, executor=Calls())

    assert report.state is LaunchState.COMPLETE and not report.failed
    assert results(root) == [Result.DONE] * 15
    assert together.n_waiting == 0 and not together.broken


def test_a_job_that_cannot_be_published_fails_alone_and_its_log_says_why(
    launch, make_probe, root, monkeypatch
):
    jobs, create, refused = [make_probe(index) for index in range(15)], Storage.create, []
    victim = launch.artifact(jobs[9]).record_name

    def refusing(storage, name, data, **options):
        if name == victim and not refused:
            refused.append(name)
            raise ValueError("a planted fault")
        return create(storage, name, data, **options)

    monkeypatch.setattr(Storage, "create", refusing)

    report = launch(jobs, executor=Calls())

    assert refused and report.state is LaunchState.COMPLETE
    assert sorted(results(root), key=str) == sorted([*[Result.DONE] * 15, Result.ERROR], key=str)
    first, second = launch.artifact(jobs[9]).attempts()
    logs = [
        root.read(f"{launch.artifact(jobs[9]).attempt_folder(attempt)}/log.txt").decode()
        for attempt in (first, second)
    ]
    assert "a planted fault" in logs[0] and "failed after" in logs[0]
    assert "done after" in logs[1]


def answer(state):
    return Answer(state=state, seconds=0.0).to_json()


def test_after_a_stop_no_further_job_is_begun():
    begun = []

    def stopped_in_second(payload, surroundings):
        begun.append(payload)
        return answer(State.STOPPED if payload == "b" else State.DONE)

    said = read_answers(do_in_turn(batch_payload(["a", "b", "c"]), ALONE, stopped_in_second))
    assert begun == ["a", "b"] and len(said) == 2

    asked = replace(ALONE, stop_requested=lambda: True)
    said = do_in_turn(batch_payload(["a", "b"]), asked, lambda *_: answer(State.DONE))
    assert len(read_answers(said)) == 1


def test_after_a_long_job_no_further_one_is_begun(monkeypatch):
    monkeypatch.setattr(batch, "_BEGINS_WITHIN_S", -1.0)
    said = do_in_turn(batch_payload(["a", "b"]), ALONE, lambda *_: answer(State.DONE))
    assert len(read_answers(said)) == 1


def test_a_call_that_returns_early_did_not_begin_the_others():
    calls = Batches()
    calls.add(["a", "b"])
    outcome = Outcome(ticket="a", ending=Ending.RETURNED, answer=json.dumps([answer(State.DONE)]))
    ended = calls.split(outcome)
    assert ended["a"].answer == answer(State.DONE)
    assert ended["b"].ending is Ending.NO_ROOM
    assert calls.ticket("b") == "b"


def test_what_waits_behind_a_long_job_is_withdrawn_once(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(batches.time, "monotonic", lambda: now[0])
    calls, begun = Batches(), set()
    calls.add(["a", "b", "c"])
    now[0] = 100.0  # it waits for its turn: nothing is withdrawn
    assert not calls.overdue(begun.__contains__)
    begun |= {"a", "b"}
    assert not calls.overdue(begun.__contains__)
    now[0] += 2.0 * batches._OVERDUE_S
    (late,) = calls.overdue(begun.__contains__)
    assert (late.ticket, late.ending) == ("c", Ending.NO_ROOM)
    assert not calls.overdue(begun.__contains__)
