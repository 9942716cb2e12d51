import pytest

from cluster.fault_classes import FaultClass
from cluster.storage import Storage
from orchestrator.records.events import Ended, LaunchEnded, LaunchStarted, Refused, Submitted
from orchestrator.records.failure import RETRIES, Result, result_of_class
from orchestrator.records.history import gather
from orchestrator.records.ledger import Ledger, read_events

STARTED = LaunchStarted(at=1.0, launch="1", host="here", pid=7, executor="local", fresh=False)
SUBMITTED = Submitted(at=2.0, key="k", attempt="1-000001")
LOST = Ended(
    at=3.0,
    key="k",
    attempt="1-000001",
    result=Result.LOST,
    seconds=1.0,
    node="node-3",
    message="gone",
)
REFUSED = Refused(at=4.0, key="other", message="too large")
OVER = LaunchEnded(at=5.0, launch="1", state="failed")


@pytest.fixture(params=["local", "memory", "s3"])
def root(request, tmp_path):
    if request.param == "s3":
        return Storage(f"{request.getfixturevalue('bucket')}/root")
    return Storage(tmp_path if request.param == "local" else f"memory://{tmp_path.name}")


def write(root, launch, *batches):
    ledger = Ledger(root, "study", launch)
    for batch in batches:
        for event in batch:
            ledger.append(event)
        ledger.flush()
    ledger.close()


def test_events_come_back_as_they_were_written(root):
    events = [STARTED, SUBMITTED, LOST, REFUSED, OVER]
    write(root, "1", events[:2], [], events[2:])
    assert list(read_events(root, "study")) == events


def test_launches_are_read_in_the_order_of_their_ids(root):
    later = LaunchStarted(at=9.0, launch="2", host="h", pid=1, executor="ray", fresh=False)
    write(root, "2", [later])
    write(root, "1", [STARTED, OVER])
    assert list(read_events(root, "study")) == [STARTED, OVER, later]


def test_a_study_without_a_ledger_has_no_events(root):
    assert list(read_events(root, "study")) == []


def test_a_line_that_a_crash_left_half_written_is_passed_over(tmp_path):
    root = Storage(tmp_path)
    write(root, "1", [STARTED, SUBMITTED, LOST])
    path = root.path("studies/study/ledger/1.jsonl")
    whole = path.read_bytes()
    last = len(whole.splitlines(keepends=True)[-1])
    for cut in range(1, last):
        path.write_bytes(whole[:-cut])
        read = list(read_events(root, "study"))
        # Without its line break alone, the last line is whole.
        assert read == ([STARTED, SUBMITTED, LOST] if cut == 1 else [STARTED, SUBMITTED])


def test_a_ledger_that_is_deleted_while_it_is_listed_is_passed_over(root, monkeypatch):
    write(root, "1", [STARTED])
    listed = [*root.list("studies/study/ledger"), "2.jsonl"]
    monkeypatch.setattr(Storage, "list", lambda self, folder: listed)
    assert list(read_events(root, "study")) == [STARTED]


def test_history_counts_failures_tries_and_time(root):
    write(root, "1", [STARTED, SUBMITTED, LOST, SUBMITTED, LOST])
    job = gather(read_events(root, "study")).of_job("k")
    assert job.failures == {FaultClass.LOST_PROCESS: 2}
    assert (job.num_attempts, job.seconds, job.message) == (2, 2.0, "gone")


def test_an_attempt_that_a_dead_launch_left_open_is_not_open_in_the_next(root):
    again = LaunchStarted(at=9.0, launch="2", host="h", pid=1, executor="ray", fresh=False)
    write(root, "1", [STARTED, SUBMITTED])
    assert gather(read_events(root, "study")).of_job("k").open_since == 2.0
    write(root, "2", [again])
    history = gather(read_events(root, "study"))
    assert history.of_job("k").open_since is None
    assert not history.of_job("k").failures
    assert history.launch == again


def test_after_a_fresh_launch_earlier_failures_no_longer_count(root):
    fresh = LaunchStarted(at=9.0, launch="2", host="h", pid=1, executor="ray", fresh=True)
    write(root, "1", [STARTED, *[SUBMITTED, LOST] * 4, OVER])
    assert gather(read_events(root, "study")).of_job("k").given_up
    write(root, "2", [fresh])
    assert not gather(read_events(root, "study")).of_job("k").given_up


def test_a_long_launch_is_read_back_in_few_requests(tmp_path):
    root = Storage(f"memory://{tmp_path.name}-long")
    events = [Submitted(at=float(number), key="k" * 64, attempt="1") for number in range(5000)]
    write(root, "1", *(events[start : start + 10] for start in range(0, 5000, 10)))
    assert list(read_events(root, "study")) == events
    assert len(root.list("studies/study/ledger")) <= 5


def test_a_failure_counts_only_when_nobody_else_is_at_the_job_and_a_mistake_always():
    def submitted(attempt):
        return Submitted(at=1.0, key="k", attempt=attempt)

    def ended(attempt, result, message=None):
        return Ended(at=2.0, key="k", attempt=attempt, result=result, seconds=1.0, message=message)

    both = [submitted("a"), submitted("b")]
    shared = gather([*both, ended("a", Result.LOST, "gone")]).of_job("k")
    assert (shared.failures.total(), set(shared.open)) == (0, {"b"})
    alone = gather([*both, ended("a", Result.LOST), ended("b", Result.LOST, "gone too")]).of_job(
        "k"
    )
    assert (alone.failures[FaultClass.LOST_PROCESS], alone.message, alone.open_since) == (
        1,
        "gone too",
        None,
    )
    mistaken = [ended("a", Result.MISTAKE, "yours"), ended("b", Result.CANCELLED, "stopped")]
    found = gather([*both, *mistaken]).of_job("k")
    assert (found.given_up, found.message) == (True, "yours")
    done = gather([*both, ended("a", Result.DONE), ended("b", Result.REUSED)]).of_job("k")
    assert done.result is Result.DONE


def ended_by(fault_class, number, fraction=None):
    return Ended(
        at=2.0,
        key="k",
        attempt=str(number),
        result=result_of_class(fault_class),
        seconds=1.0,
        fraction=fraction,
        fault_class=fault_class,
    )


CHARGED_PER_TRY = [each for each, budget in RETRIES.items() if budget]


@pytest.mark.parametrize("fault_class", CHARGED_PER_TRY)
def test_a_job_that_gets_further_each_time_is_never_given_up(fault_class):
    events = [
        event
        for number in range(30)
        for event in (
            Submitted(at=1.0, key="k", attempt=str(number)),
            ended_by(fault_class, number, fraction=number / 100),
        )
    ]
    assert not gather(events).of_job("k").given_up


@pytest.mark.parametrize("fault_class", CHARGED_PER_TRY)
def test_a_job_that_stays_where_it_is_is_given_up_when_its_budget_is_spent(fault_class):
    # The first preemption, further than ever before, costs nothing; the first error does.
    most = RETRIES[fault_class] + 1 + (fault_class is FaultClass.PREEMPTED)
    events = []
    for number in range(most):
        assert not gather(events).of_job("k").given_up
        events.append(Submitted(at=1.0, key="k", attempt=str(number)))
        events.append(ended_by(fault_class, number, fraction=0.3))
    assert gather(events).of_job("k").given_up


@pytest.mark.parametrize("fault_class", sorted(set(FaultClass) - set(RETRIES), key=str))
def test_the_surroundings_faults_leave_no_failure_in_the_history(fault_class):
    events = [ended_by(fault_class, number) for number in range(50)]
    job = gather(events).of_job("k")
    assert not job.failures.total() and not job.given_up


def test_an_ending_comes_back_with_its_class_and_one_of_a_later_version_without(tmp_path):
    root = Storage(tmp_path)
    write(root, "1", [STARTED, ended_by(FaultClass.GPU, 1)])
    path = root.path("studies/study/ledger/1.jsonl")
    assert list(read_events(root, "study"))[1].fault_class is FaultClass.GPU
    path.write_text(path.read_text().replace('"gpu"', '"cosmic rays"'))
    assert list(read_events(root, "study"))[1].fault_class is None


def test_permission_is_asked_for_anew_by_every_launch():
    failed = [ended_by(FaultClass.PERMISSION, number) for number in range(9)]
    assert gather([STARTED, *failed]).of_job("k").given_up
    assert not gather([STARTED, *failed, STARTED]).of_job("k").given_up
