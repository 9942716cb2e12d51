"""Several workers at one job, on executors whose every outcome a test decides."""

import pytest

from cluster.executor import Ending, Outcome
from cluster.executors.local import Executor as LocalExecutor
from cluster.fault_classes import FaultClass
from cluster.machine.resources import Resources
from jobs.worker.assignment import Assignment
from orchestrator.dispatch.requests import ask_to_cancel
from orchestrator.dispatch.waiting.patience import Patience
from orchestrator.records.events import Ended, LaunchState
from orchestrator.records.failure import Result
from orchestrator.records.history import gather
from orchestrator.records.ledger import read_events


class Wide(LocalExecutor):
    """Takes many calls, runs one after the other; keeps who was submitted as which worker."""

    num_cpus = 3

    def __init__(self):
        super().__init__()
        self.submitted = []

    def capacity(self):
        return Resources(num_cpus=self.num_cpus)

    def submit(self, ticket, entry, payload, resources):
        assignment = Assignment.from_json(payload)
        self.submitted.append((assignment.params["index"], assignment.worker))
        super().submit(ticket, entry, payload, resources)

    def lose(self, at=0):
        """The outcome of a submitted call whose process died before it did anything."""
        ticket, _, _ = self._queue[at]
        del self._queue[at]
        return [Outcome(ticket=ticket, ending=Ending.LOST, error="its process died")]


def results_of(root, job):
    return [
        event.result
        for event in read_events(root, "study")
        if isinstance(event, Ended) and event.key == job.key
    ]


@pytest.fixture
def shared(make_probe):
    return make_probe(0, parts=6, workers=5)


def test_idle_capacity_joins_a_running_job_and_one_record_stands(launch, shared):
    executor = Wide()

    report = launch([shared], executor=executor)

    assert (report.state, report.ran, report.reused) == (LaunchState.COMPLETE, [shared.key], [])
    assert executor.submitted == [(0, 0), (0, 1), (0, 2)]
    assert results_of(launch.root, shared) == [Result.DONE, Result.REUSED, Result.REUSED]
    assert not gather(read_events(launch.root, "study")).of_job(shared.key).failures


def test_a_worker_heard_before_the_one_that_published_does_not_hide_that_this_launch_did_it(
    launch, shared
):
    class TellsTheLastFirst(Wide):
        def wait(self, timeout_s):
            if not self._queue:
                return super().wait(timeout_s)
            return [outcome for _ in list(self._queue) for outcome in LocalExecutor.wait(self, 0)][
                ::-1
            ]

    report = launch([shared], executor=TellsTheLastFirst())

    assert (report.ran, report.reused) == ([shared.key], [])
    assert results_of(launch.root, shared) == [Result.REUSED, Result.REUSED, Result.DONE]


def test_no_more_workers_join_than_the_kind_allows(launch, make_probe):
    executor = Wide()
    launch([make_probe(0, parts=2, workers=8)], executor=executor)
    assert executor.submitted == [(0, 0), (0, 1)]


def test_a_job_that_cannot_be_shared_stays_alone(launch, make_probe):
    executor = Wide()
    launch([make_probe(0)], executor=executor)
    assert executor.submitted == [(0, 0)]


def test_every_ready_job_starts_before_a_worker_joins_another(launch, make_probe, shared):
    executor = Wide()
    executor.num_cpus = 4
    others = [make_probe(1), make_probe(2)]
    launch([shared, *others], executor=executor)
    assert executor.submitted[:4] == [(0, 0), (1, 0), (2, 0), (0, 1)]


def test_workers_are_spread_evenly_over_the_jobs_that_share(launch, make_probe):
    executor = Wide()
    executor.num_cpus = 6
    jobs = [make_probe(index, parts=6, workers=4) for index in range(2)]
    launch(jobs, executor=executor)
    assert sorted(executor.submitted[:6]) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]


def test_a_lost_worker_is_noted_and_replaced_under_its_number_and_costs_no_try(launch, shared):
    class LosesOne(Wide):
        num_lost = 0

        def wait(self, timeout_s):
            if self.num_lost < 1:
                self.num_lost += 1
                return self.lose(at=1)
            return super().wait(timeout_s)

    executor = LosesOne()
    report = launch([shared], executor=executor)

    assert report.state is LaunchState.COMPLETE
    assert executor.submitted == [(0, 0), (0, 1), (0, 2), (0, 1)]
    assert results_of(launch.root, shared)[:2] == [Result.LOST, Result.DONE]
    assert not gather(read_events(launch.root, "study")).of_job(shared.key).failures


def test_workers_that_die_again_and_again_are_replaced_three_times_and_the_first_goes_on(
    launch, shared
):
    class LosesWhoeverJoins(Wide):
        num_cpus = 2

        def wait(self, timeout_s):
            return self.lose(at=1) if len(self._queue) > 1 else super().wait(timeout_s)

    executor = LosesWhoeverJoins()
    report = launch([shared], executor=executor)

    assert report.state is LaunchState.COMPLETE
    assert results_of(launch.root, shared) == [Result.LOST] * 4 + [Result.DONE]


def test_when_all_workers_die_the_job_is_tried_again_within_its_budget(launch, shared):
    class LosesAll(Wide):
        def wait(self, timeout_s):
            return self.lose()

    report = launch([shared], executor=LosesAll())

    assert report.failed == {shared.key: "its process died"}
    assert (
        gather(read_events(launch.root, "study"))
        .of_job(shared.key)
        .failures[FaultClass.LOST_PROCESS]
        == 4
    )


def test_a_users_mistake_ends_all_workers_at_once(launch, make_probe):
    job = make_probe(0, parts=6, workers=5, fail=True)
    below = make_probe(1, after=job)

    report = launch([job, below], executor=Wide())

    assert "told to fail" in report.failed[job.key]
    assert set(report.blocked) == {below.key}
    assert results_of(launch.root, job) == [Result.MISTAKE, Result.CANCELLED, Result.CANCELLED]
    assert launch([job, below]).num_attempts == 0


def test_a_cancelled_job_is_cancelled_with_all_its_workers(launch, make_probe, shared, root):
    class AsksOnceItRuns(Wide):
        def wait(self, timeout_s):
            if not self._cancelled:
                ask_to_cancel(root, "study", [shared.key])
                return []
            return super().wait(timeout_s)

    other = make_probe(1)
    report = launch([shared, other], executor=AsksOnceItRuns())

    assert report.cancelled == [shared.key]
    assert set(results_of(root, shared)) == {Result.CANCELLED}
    assert len(results_of(root, shared)) == 2
    assert report.ran == [other.key]


def test_an_error_of_a_worker_that_was_asked_to_stop_starts_nothing_again(launch, root, make_probe):
    job = make_probe(0)

    class FailsWhenAsked(Wide):
        def wait(self, timeout_s):
            if not self._cancelled:
                ask_to_cancel(root, "study", [job.key])
                return []
            return self.lose()

    report = launch([job], executor=FailsWhenAsked())

    assert (report.cancelled, report.num_attempts) == ([job.key], 1)


def test_the_next_launch_continues_with_what_all_workers_had_finished(launch, shared, root):

    folders = [launch.artifact(shared).attempt_folder(name) for name in ("a-000001", "a-000002")]
    for folder, part in zip(folders, ("0", "5"), strict=True):
        root.write(f"{folder}/scratch/parts/{part}", b"")

    report = launch([shared])

    assert report.ran == [shared.key]
    attempt = launch.artifact(shared).record.attempt
    done = root.list(f"{launch.artifact(shared).attempt_folder(attempt)}/scratch/parts")
    assert done == ["1", "2", "3", "4"]


def test_a_worker_that_its_surroundings_end_joins_again_only_after_pauses_that_grow(launch, shared):
    now = [0.0]
    patience = Patience(clock=lambda: now[0], sleep=lambda s: None, draw=lambda: 0.5)

    class OneHostIsCutOff(Wide):
        """Whoever joins fails by the network; the first works for two minutes."""

        def wait(self, timeout_s):
            now[0] += timeout_s
            if len(self._queue) > 1:
                ticket, _, _ = self._queue.pop()
                fault = {"error": "no route", "fault_class": FaultClass.NETWORK}
                return [Outcome(ticket=ticket, ending=Ending.LOST, **fault)]
            return super().wait(timeout_s) if now[0] > 120 else []

    executor = OneHostIsCutOff()

    report = launch([shared], executor=executor, patience=patience)

    assert report.state is LaunchState.COMPLETE
    assert 4 < len(executor.submitted) < 12
    assert not gather(read_events(launch.root, "study")).of_job(shared.key).failures
