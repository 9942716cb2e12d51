"""A fresh retry budget reaches a running launch and the next one, and no other job."""

import json

import pytest

from cluster.errors import UserError
from cluster.executor import Ending, Outcome
from cluster.executors.local import Executor as LocalExecutor
from jobs.worker.answer import Answer, Fault, State
from orchestrator.dispatch import batches, dispatcher, request_taker
from orchestrator.dispatch.requests import ask_to_cancel, ask_to_retry, is_heeded
from orchestrator.records.events import LaunchState, Renewed
from orchestrator.records.history import read_history
from orchestrator.records.ledger import read_events


@pytest.fixture(autouse=True)
def one_job_per_call(monkeypatch):
    monkeypatch.setattr(batches, "_MOST_JOBS", 1)


@pytest.fixture(autouse=True)
def requests_are_heeded_between_any_two_jobs(monkeypatch):
    monkeypatch.setattr(dispatcher, "_LOOK_EVERY_S", {True: 0.0})


class Machine(LocalExecutor):
    """The local executor, on which some jobs fail by a mistake until somebody mends it.

    Args:
        ill: keys of the jobs that fail.
        meanwhile: job -> what somebody does just before its call runs.
    """

    def __init__(self, ill=(), meanwhile=()):
        super().__init__()
        self.ill, self.meanwhile = set(ill), dict(meanwhile)

    def wait(self, timeout_s):
        if not self._queue:
            return super().wait(timeout_s)
        ticket, _, payload = self._queue[0]
        key = json.loads(payload)["key"]
        self.meanwhile.pop(key, lambda: None)()
        if key not in self.ill:
            return super().wait(timeout_s)
        self._queue.popleft()
        fault = Fault.of(UserError("not mended", where="here"))
        answer = Answer(state=State.FAILED, fault=fault).to_json()
        return [Outcome(ticket=ticket, ending=Ending.RETURNED, answer=answer)]


def renewals(root):
    return [event.keys for event in read_events(root, "study") if isinstance(event, Renewed)]


def test_a_running_launch_tries_failed_jobs_again_and_what_they_block(launch, make_probe, root):
    bad = make_probe(0)
    below, last = make_probe(1, after=bad), make_probe(2)
    machine = Machine([bad.key])

    def mend():
        machine.ill.clear()
        ask_to_retry(root, "study", [bad.key, last.key])

    machine.meanwhile[last.key] = mend
    report = launch([bad, below, last], executor=machine)

    assert report.state is LaunchState.COMPLETE
    assert set(report.ran) == {bad.key, below.key, last.key}
    assert renewals(root) == [sorted([bad.key, last.key])]


def test_a_request_that_the_root_does_not_let_go_renews_once(launch, make_probe, root, monkeypatch):
    bad, last, more = make_probe(0), make_probe(1), make_probe(2)
    machine = Machine([bad.key])
    monkeypatch.setattr(request_taker, "drop_request", lambda *request: None)

    def mend():
        machine.ill.clear()
        ask_to_retry(root, "study", [bad.key])

    machine.meanwhile[last.key] = mend
    report = launch([bad, last, more], executor=machine)
    assert report.state is LaunchState.COMPLETE
    assert renewals(root) == [[bad.key]]


def test_the_next_launch_heeds_what_was_asked_while_none_looked(launch, make_probe, root):
    bad = make_probe(0, fail=True)
    below = make_probe(1, after=bad)
    assert launch([bad, below]).failed
    assert launch([bad, below]).num_attempts == 0

    name = ask_to_retry(root, "study", [bad.key])
    again = launch([bad, below])

    assert again.num_attempts == 1 and again.failed
    assert is_heeded(root, "study", name)
    assert launch([bad, below]).num_attempts == 0


def test_other_jobs_keep_their_budgets(launch, make_probe, root):
    first, second = make_probe(0, fail=True), make_probe(1, fail=True)
    launch([first, second])
    ask_to_retry(root, "study", [first.key])

    assert launch([first, second]).num_attempts == 1
    past = read_history(root, "study")
    assert (past.of_job(first.key).num_attempts, past.of_job(second.key).num_attempts) == (2, 1)


def test_a_request_for_jobs_of_another_study_changes_nothing(launch, make_probe, root):
    ask_to_retry(root, "study", ["0" * 64])
    assert launch([make_probe(0)]).state is LaunchState.COMPLETE
    assert renewals(root) == []


def test_a_job_that_was_cancelled_by_itself_is_wanted_again(launch, make_probe, root):
    jobs = [make_probe(index) for index in range(3)]
    machine = Machine()
    machine.meanwhile = {
        jobs[0].key: lambda: ask_to_cancel(root, "study", [jobs[2].key]),
        jobs[1].key: lambda: ask_to_retry(root, "study", [jobs[2].key]),
    }
    machine.capacity = lambda: jobs[0].resources

    report = launch(jobs, executor=machine)

    assert not report.cancelled
    assert set(report.ran) == {job.key for job in jobs}


def test_a_launch_of_some_jobs_keeps_what_was_asked_for_others(launch, make_probe, root):
    bad, others = make_probe(0, fail=True), [make_probe(index) for index in (1, 2)]
    assert launch([bad]).failed
    machine = Machine()
    machine.meanwhile[others[1].key] = lambda: ask_to_retry(root, "study", [bad.key])
    assert launch(others, executor=machine).state is LaunchState.COMPLETE
    assert renewals(root) == [[bad.key]]
    assert launch([bad]).num_attempts == 1
