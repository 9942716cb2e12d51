"""Launches with a budget: what counts, in which order they save and end, and what goes on."""

import dataclasses
import json
from dataclasses import dataclass

import pytest

from cluster.executor import Ending, Outcome
from cluster.executors.local import Executor as LocalExecutor
from cluster.machine.resources import Resources
from jobs.worker.answer import Answer, State
from orchestrator.budget.budget import Budget
from orchestrator.budget.spending import spent_on, unpriced_seconds
from orchestrator.dispatch.job_states import JobState
from orchestrator.dispatch.waiting.patience import Patience
from orchestrator.dispatch.watcher import Watcher
from orchestrator.records.events import Holding, LaunchState, Submitted
from orchestrator.records.history import read_history
from orchestrator.records.ledger import read_events


@dataclass
class Clock:
    """A clock that only waiting moves."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def patience(self) -> Patience:
        return Patience(clock=self, sleep=self.sleep, draw=lambda: 0.5)


class Machines(LocalExecutor):
    """Eight GPUs on the test's clock: a job runs for an hour there, unless it is asked to stop."""

    job_s = 3600.0

    def __init__(self, clock, *, num_gpus=8.0):
        super().__init__()
        self.clock, self.num_gpus = clock, num_gpus
        self.ends, self.calls, self.cancelled = {}, {}, []

    def capacity(self):
        return Resources(num_cpus=64, num_gpus=self.num_gpus)

    def nodes(self):
        return [self.capacity()]

    def submit(self, ticket, entry, payload, resources):
        self.ends[ticket] = self.clock() + self.job_s
        self.calls[ticket] = (entry, payload, resources)

    def cancel(self, ticket, *, within_s=None):
        if ticket in self.ends:
            self.cancelled.append(ticket)
            self.ends[ticket] = self.clock()

    def wait(self, timeout_s):
        self.clock.sleep(max(timeout_s, 30.0))
        due = [ticket for ticket, end in self.ends.items() if end <= self.clock()]
        return [self._finish(ticket) for ticket in due]

    def _finish(self, ticket):
        del self.ends[ticket]
        if ticket in self.cancelled:
            answer = Answer(state=State.STOPPED).to_json()
            return Outcome(ticket=ticket, ending=Ending.RETURNED, answer=answer)
        super().submit(ticket, *self.calls[ticket])
        (outcome,) = super().wait(0)
        answer = {**json.loads(outcome.answer), "seconds": self.job_s}
        return dataclasses.replace(outcome, answer=json.dumps(answer))


def hours(**limits):
    return Budget(limits=limits)


@dataclass(frozen=True)
class FlatPrices:
    """A price for each GPU."""

    currency: str = "EUR"

    def hourly(self, resources):
        return 2.0 * resources.total.num_gpus


def launched(launch, jobs, budget, clock=None, **options):
    clock = clock or Clock()
    machines = options.pop("executor", None) or Machines(clock, **options.pop("machines", {}))
    report = launch(jobs, executor=machines, patience=clock.patience(), budget=budget, **options)
    return report, machines


def spent_of(root):
    return spent_on(hours(gpuh=1.0), root, read_history(root, "study"))["gpuh"]


def test_a_budget_that_is_large_enough_changes_nothing(launch, make_probe, root):
    jobs = [make_probe(index, num_gpus=1) for index in range(3)]

    report, _ = launched(launch, jobs, hours(gpuh=10.0))

    assert report.state is LaunchState.COMPLETE and report.exit_code == 0
    assert spent_of(root) == pytest.approx(3.0, abs=0.1)


def test_what_runs_saves_and_nothing_starts_once_the_budget_is_spent(launch, make_probe, root):
    jobs = [make_probe(index, num_gpus=8) for index in range(4)]

    report, machines = launched(launch, jobs, hours(gpuh=20.0))

    assert report.state is LaunchState.OUT_OF_BUDGET and report.exit_code == 76
    assert len(report.ran) == 2 and len(machines.cancelled) == 1
    assert 19.0 < spent_of(root) <= 20.0
    assert len(report.waiting) == 2 and not report.failed and not report.cancelled
    assert "of 20.0 GPU-hours spent" in report.spent_budget
    assert "2 of 4 jobs are not done" in report.spent_budget
    assert "larger --budget" in report.spent_budget


def test_the_same_budget_again_begins_nothing_and_a_larger_one_goes_on(launch, make_probe, root):
    jobs = [make_probe(index, num_gpus=8) for index in range(4)]
    launched(launch, jobs, hours(gpuh=20.0))
    before = spent_of(root)

    again, _ = launched(launch, jobs, hours(gpuh=20.0))
    assert again.exit_code == 76 and again.num_attempts == 0
    assert spent_of(root) == before

    more, _ = launched(launch, jobs, hours(gpuh=60.0))
    assert more.state is LaunchState.COMPLETE
    assert set(more.ran) == {job.key for job in jobs if job.key in more.ran} and len(more.ran) == 2


def test_failed_attempts_count_and_reused_jobs_do_not(launch, make_probe, root):
    good, bad = make_probe(0, num_gpus=8), make_probe(1, num_gpus=8, fail=True)
    launched(launch, [good, bad], None)
    assert spent_of(root) == pytest.approx(16.0, abs=0.2)

    report, _ = launched(launch, [good, make_probe(2, num_gpus=8)], hours(gpuh=16.5))

    assert report.exit_code == 76, "the hour of the job that failed was spent"
    assert report.ran == []


def test_jobs_that_hold_no_gpu_go_on_when_gpu_hours_are_spent(launch, make_probe):
    costly = [make_probe(index, num_gpus=8) for index in range(2)]
    free = [make_probe(10 + index) for index in range(2)]
    below = make_probe(20, after=free[1])

    report, machines = launched(launch, [*costly, *free, below], hours(gpuh=4.0))

    assert report.exit_code == 76
    assert set(report.ran) == {*(job.key for job in free), below.key}
    assert len(machines.cancelled) == 1


def test_parts_of_a_gpu_count_by_their_share(launch, make_probe, root):
    jobs = [make_probe(index, num_gpus=0.5) for index in range(4)]

    report, _ = launched(launch, jobs, hours(gpuh=3.0))

    assert report.state is LaunchState.COMPLETE
    assert spent_of(root) == pytest.approx(2.0, abs=0.1)


def test_money_is_counted_by_the_prices_and_kept_in_the_ledger(launch, make_probe, root):
    jobs = [make_probe(index, num_gpus=8) for index in range(3)]

    report, _ = launched(launch, jobs, hours(EUR=20.0), prices=FlatPrices())

    assert report.exit_code == 76 and len(report.ran) == 1
    assert 18.0 < read_history(root, "study").spent.money["EUR"] <= 20.0
    assert "EUR" in report.spent_budget


def test_disk_is_what_attempts_of_the_study_have_written(launch, make_probe, root):
    jobs = [make_probe(index) for index in range(6)]
    launched(launch, jobs[:2], None)
    written = sum(
        root.size(name) for job in jobs[:2] for name in root.walk(f"{job.folder}/attempts")
    )

    report, _ = launched(launch, jobs, hours(bytes=written))

    assert report.exit_code == 76 and report.num_attempts == 0


def test_a_launch_that_was_killed_has_spent_what_it_last_said(launch, make_probe, root):
    jobs = [make_probe(index, num_gpus=8) for index in range(2)]
    clock = Clock()

    class Killed(Watcher):
        """Ends the process, as it were, in the middle of the first job."""

        def tick(self, counts):
            if counts[JobState.RUNNING] and clock() > 1000.0 + 1800.0:
                raise SystemExit

    with pytest.raises(SystemExit):
        launched(launch, jobs, hours(gpuh=9.0), clock, watcher=Killed())
    folder = root.path("studies/study/ledger")
    (file,) = folder.iterdir()
    lines = file.read_bytes().splitlines(keepends=True)
    # A process that is killed writes no ending.
    kept = [
        line
        for line in lines
        if json.loads(line)["event"] in ("launch-started", "submitted", "holding")
    ]
    file.write_bytes(b"".join(kept))
    assert any(isinstance(event, Holding) for event in read_events(root, "study"))

    report, _ = launched(launch, jobs, hours(gpuh=9.0))

    assert report.exit_code == 76 and report.ran == []
    spent = spent_of(root)
    assert 8.0 < spent <= 9.0, "four hours of the killed launch, and up to five of this one"


def test_a_clock_that_jumps_changes_nothing_that_is_counted(launch, make_probe, root, monkeypatch):
    jobs = [make_probe(index, num_gpus=8) for index in range(2)]
    jumps = iter(range(10**6))
    monkeypatch.setattr("time.time", lambda: 1.7e9 + 3.0e7 * (-1) ** next(jumps))

    report, _ = launched(launch, jobs, hours(gpuh=17.0))

    assert report.state is LaunchState.COMPLETE
    assert spent_of(root) == pytest.approx(16.0, abs=0.2)


def test_without_a_budget_the_ledger_keeps_the_account_too(launch, make_probe, root):
    launched(launch, [make_probe(0, num_gpus=2)], None)

    events = list(read_events(root, "study"))
    beats = [event for event in events if isinstance(event, Holding)]
    assert 55 <= len(beats) <= 61
    assert [event.price for event in events if isinstance(event, Submitted)] == [None]


@pytest.mark.parametrize("budget", [{"gpuh": 1.0}, {"EUR": 2.0}, {"bytes": 1.0}])
def test_a_budget_that_is_spent_starts_no_machines(launch, make_probe, root, budget):
    class Asked(Machines):
        def start(self):
            raise AssertionError("machines were asked for")

    launched(launch, [make_probe(0, num_gpus=1)], hours(), prices=FlatPrices())
    clock = Clock()
    jobs = [make_probe(index, num_gpus=1) for index in range(2)]
    report, _ = launched(
        launch, jobs, hours(**budget), clock, prices=FlatPrices(), executor=Asked(clock)
    )

    assert report.exit_code == 76 and "1 of 2 jobs are not done" in report.spent_budget


def test_time_without_a_price_is_known(launch, make_probe, root):
    launched(launch, [make_probe(0, num_gpus=1)], hours())

    assert unpriced_seconds(read_history(root, "study")) == pytest.approx(3600, abs=60)
