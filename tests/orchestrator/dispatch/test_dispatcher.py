import dataclasses
import json

from cluster.executor import Ending, Outcome
from cluster.executors.local import Executor as LocalExecutor
from cluster.machine.resources import Resources
from cluster.storage import Storage
from jobs.kinds.probe import Probe
from jobs.worker.answer import Answer, State
from orchestrator.dispatch.execution import run_study
from orchestrator.dispatch.requests import ask_to_cancel
from orchestrator.dispatch.waiting.patience import Patience
from orchestrator.records.events import Ended, LaunchState
from orchestrator.records.failure import Result
from orchestrator.records.history import History, gather
from orchestrator.records.launch_id import new_launch_id
from orchestrator.records.ledger import read_events

probe = Probe()


def results_of(root, job):
    return [
        event.result
        for event in read_events(root, "study")
        if isinstance(event, Ended) and event.key == job.key
    ]


def test_a_chain_runs_in_order_and_each_job_leaves_a_record(launch, make_probe):
    first = make_probe(0)
    second = make_probe(1, after=first)
    third = make_probe(2, after=second)

    report = launch([first, second, third])

    assert report.state is LaunchState.COMPLETE
    assert report.exit_code == 0
    assert report.ran == [first.key, second.key, third.key]
    assert launch.artifact(third).facts["depth"] == 2


def test_a_second_launch_runs_nothing_and_starts_no_executor(launch, make_probe):
    jobs = [make_probe(index) for index in range(3)]
    launch(jobs)

    report = launch(jobs)

    assert report.state is LaunchState.COMPLETE
    assert report.ran == []
    assert sorted(report.reused) == sorted(job.key for job in jobs)
    assert launch.executor.num_starts == 1


def test_one_failed_job_stops_only_what_needs_it(launch, make_probe):
    bad = make_probe(0, fail=True)
    below = make_probe(1, after=bad)
    far_below = make_probe(2, after=below)
    other = make_probe(3)
    below_other = make_probe(4, after=other)

    report = launch([bad, other, below, below_other, far_below])

    assert report.state is LaunchState.FAILED
    assert report.exit_code == 1
    assert set(report.ran) == {other.key, below_other.key}
    assert "told to fail" in report.failed[bad.key]
    assert set(report.blocked) == {below.key, far_below.key}
    assert report.blocked[below.key] == "probes[index=0] is failed"


def test_a_users_mistake_is_tried_once_and_another_fault_twice(launch, make_probe):
    mistaken = make_probe(0, fail=True)
    absent = make_probe(1)
    faulty = make_probe(2, after=absent)

    report = launch([mistaken, faulty], done={absent.key})

    assert results_of(launch.root, mistaken) == [Result.MISTAKE]
    assert results_of(launch.root, faulty) == [Result.ERROR, Result.ERROR]
    assert "no valid record" in report.failed[faulty.key]


def test_what_failed_for_good_runs_again_only_with_a_fresh_budget(launch, make_probe):
    bad = make_probe(0, fail=True)
    launch([bad])

    again = launch([bad])
    assert again.num_attempts == 0
    assert "told to fail" in again.failed[bad.key]
    assert launch.executor.num_starts == 1

    fresh = launch([bad], fresh=True)
    assert fresh.num_attempts == 1


def test_a_job_that_no_node_can_hold_fails_with_the_reason_and_is_not_tried(launch, make_probe):
    class SmallNode(LocalExecutor):
        def nodes(self):
            return [Resources(num_cpus=2, memory_gb=8)]

    large = make_probe(0, num_gpus=4)
    below = make_probe(1, after=large)
    small = make_probe(2)

    report = launch([large, small, below], executor=SmallNode())

    assert report.ran == [small.key]
    assert "needs 1 CPU, 4 GPUs, nodes have 2 CPUs, 8 GB" in report.failed[large.key]
    assert set(report.blocked) == {below.key}
    assert not launch.artifact(large).attempts()


def test_what_lies_in_one_jobs_place_ends_that_job_alone(launch, make_probe, root, tmp_path):
    taken, other = make_probe(0), make_probe(1)
    (tmp_path / "elsewhere").mkdir()
    place = root.path(taken.folder)
    place.parent.mkdir(parents=True)
    place.symlink_to(tmp_path / "elsewhere")

    report = launch([taken, other], done=set())

    assert report.ran == [other.key]
    assert "link" in report.failed[taken.key]
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_stale_record_is_taken_away_and_made_again(launch, make_probe):
    job = make_probe(0)
    launch([job])
    before = launch.artifact(job).record.attempt

    report = launch([job], stale={job.key})

    assert report.ran == [job.key]
    assert launch.artifact(job).record.attempt != before


def test_a_damaged_record_does_not_stop_the_job_from_being_done(launch, make_probe, root):
    job = make_probe(0)
    root.write(launch.artifact(job).record_name, b"{ half a rec")

    report = launch([job])

    assert report.state is LaunchState.COMPLETE
    assert launch.artifact(job).record.key == job.key


def test_a_record_that_appears_after_planning_is_taken_and_nothing_runs(launch, make_probe):
    job = make_probe(0)
    below = make_probe(1, after=job)
    launch([job])

    report = launch([job, below], done=set())

    assert report.reused == [job.key]
    assert report.ran == [below.key]


def test_equal_work_in_two_cells_is_done_once(launch, make_probe):
    job = make_probe(0)
    twin = dataclasses.replace(job, cell={"index": "0", "other": "x"})

    report = launch([job, twin])

    assert report.state is LaunchState.COMPLETE
    assert report.num_attempts == 1


def test_a_job_is_not_believed_to_be_done_without_its_record(launch, make_probe):
    class Liar(LocalExecutor):
        def wait(self, timeout_s):
            ticket, _, _ = self._queue.popleft()
            answer = Answer(state=State.DONE).to_json()
            return [Outcome(ticket=ticket, ending=Ending.RETURNED, answer=answer)]

    patience = Patience(visible_within_s=0)

    report = launch([make_probe(0)], executor=Liar(), patience=patience)

    assert report.state is LaunchState.FAILED
    assert "left no valid record" in next(iter(report.failed.values()))


def test_a_lost_job_is_tried_three_times_more(launch, make_probe):
    class Quicksand(LocalExecutor):
        def wait(self, timeout_s):
            ticket, _, _ = self._queue.popleft()
            return [Outcome(ticket=ticket, ending=Ending.LOST, error="gone", node="node-7")]

    report = launch([make_probe(0)], executor=Quicksand())

    assert report.num_attempts == 4
    assert list(report.failed.values()) == ["gone"]


def test_attempts_of_a_launch_that_was_killed_are_charged_to_nothing(launch, make_probe):
    job = make_probe(0)

    class Power(LocalExecutor):
        def wait(self, timeout_s):
            raise SystemExit  # the launch ends with its attempt open

    for _ in range(5):
        try:
            launch([job], executor=Power())
        except SystemExit:
            continue

    report = launch([job])
    assert report.state is LaunchState.COMPLETE
    history = gather(read_events(launch.root, "study"))
    assert history.of_job(job.key).num_attempts == 6
    assert not history.of_job(job.key).failures


def test_a_cancelled_job_blocks_what_needs_it_and_the_next_launch_runs_both(
    launch, make_probe, root
):
    first = make_probe(0)
    second = make_probe(1, after=first)
    other = make_probe(2)

    class AsksFirst(LocalExecutor):
        def start(self):
            ask_to_cancel(root, "study", [first.key])

    report = launch([first, other, second], executor=AsksFirst())
    assert report.state is LaunchState.FAILED
    assert report.cancelled == [first.key]
    assert set(report.blocked) == {second.key}
    assert report.ran == [other.key]

    assert launch([first, other, second]).state is LaunchState.COMPLETE


def test_a_request_to_cancel_everything_ends_the_launch_and_the_next_one_resumes(
    launch, make_probe, root
):
    jobs = [make_probe(index) for index in range(20)]

    class AsksFirst(LocalExecutor):
        def start(self):
            ask_to_cancel(root, "study", None)

    report = launch(jobs, executor=AsksFirst())
    assert report.state is LaunchState.CANCELLED
    assert report.exit_code == 130
    assert len(report.ran) < len(jobs)

    assert launch(jobs).state is LaunchState.COMPLETE


def test_a_request_from_before_the_launch_does_not_cancel_it(launch, make_probe, root):
    ask_to_cancel(root, "study", None)

    assert launch([make_probe(0)]).state is LaunchState.COMPLETE


def test_job_json_says_what_was_asked(launch, make_probe, root):
    job = make_probe(3)
    launch([job])

    asked = json.loads(root.read(f"{job.folder}/job.json"))
    assert asked["key"] == job.key
    assert asked["identity"] == job.identity
    assert asked["cell"] == {"index": "3"}
    assert asked["version"] == probe.VERSION


def test_a_launch_runs_on_a_root_that_is_not_a_local_path(make_probe):
    storage = Storage(f"memory://{new_launch_id()}")
    first = make_probe(0)
    second = make_probe(1, after=first)

    report = run_study(
        [first, second],
        done=set(),
        storage=storage,
        study="study",
        launch=new_launch_id(),
        executor=LocalExecutor(),
        executor_name="local",
        past=History(),
    )

    assert report.ran == [first.key, second.key]
    assert [e.result for e in read_events(storage, "study") if isinstance(e, Ended)] == [
        Result.DONE,
        Result.DONE,
    ]


def test_a_job_of_several_ranks_is_refused_where_there_is_one_process_and_charged_nothing(
    launch, make_probe, root
):
    gang, other = make_probe(0, num_ranks=2), make_probe(1)

    report = launch([gang, other])

    assert report.failed == {gang.key: "needs 2 ranks; this executor runs 1 at a time"}
    assert report.ran == [other.key]
    assert not gather(read_events(root, "study")).of_job(gang.key).failures


def test_a_job_that_found_no_room_is_charged_nothing_and_asked_for_again(launch, make_probe, root):
    class Crowded(LocalExecutor):
        times = 2

        def wait(self, timeout_s):
            if not self.times or not self._queue:
                return super().wait(timeout_s)
            self.times -= 1
            ticket, _, _ = self._queue.popleft()
            return [Outcome(ticket=ticket, ending=Ending.NO_ROOM, error="others are there")]

    job = make_probe(0)

    report = launch([job], executor=Crowded())

    assert results_of(root, job) == [Result.NO_ROOM, Result.NO_ROOM, Result.DONE]
    assert report.state is LaunchState.COMPLETE
    past = gather(read_events(root, "study")).of_job(job.key)
    assert (past.num_attempts, past.failures.total()) == (1, 0)
