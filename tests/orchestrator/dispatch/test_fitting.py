"""Jobs whose kind chooses how they are done, on machines that hold them or do not."""

import json
from dataclasses import replace

import pytest

from cluster.executor import Ending, Outcome
from cluster.executors.local import Executor as LocalExecutor
from cluster.machine.resources import Resources
from jobs.worker.answer import Answer, State
from jobs.worker.attempt_folder import AttemptFolder
from orchestrator.dispatch import job_queue
from orchestrator.records.events import Ended, LaunchState, Refused, Submitted
from orchestrator.records.failure import Result
from orchestrator.records.history import History, add
from orchestrator.records.ledger import Ledger, read_events


class Nodes(LocalExecutor):
    """The local executor, of nodes with so much memory."""

    def __init__(self, *memory_gb):
        super().__init__()
        self.memory_gb = memory_gb

    def nodes(self):
        return [Resources(num_cpus=8, memory_gb=each) for each in self.memory_gb]


def events(launch, kind):
    return [event for event in read_events(launch.root, "study") if isinstance(event, kind)]


def test_a_job_is_laid_out_for_the_machines_and_the_ledger_and_job_json_say_how(launch, make_probe):
    job = make_probe(0, holds_gb=12, pieces=None)

    assert launch([job], executor=Nodes(2, 6)).state is LaunchState.COMPLETE

    (event,) = events(launch, Submitted)
    assert (event.execution, event.peak_memory_gb) == ({"pieces": 2}, 6)
    assert "a node has 6 GB" in event.why
    asked = json.loads(launch.root.read(f"{job.folder}/job.json"))
    assert (asked["params"]["pieces"], asked["resources"]["memory_gb"]) == (2, 6)
    assert asked["key"] == job.key


def test_a_worker_is_told_what_the_plan_expects_and_a_single_process_shares_no_gpu(
    launch, make_probe, monkeypatch
):
    choose, asked, sent = job_queue.choose_fit, [], []

    class Sends(Nodes):
        def submit(self, ticket, entry, payload, resources):
            sent.append(json.loads(payload)["peak_memory_gb"])
            super().submit(ticket, entry, payload, resources)

    def listens(*given, is_alone):
        asked.append(is_alone)
        return choose(*given, is_alone=is_alone)

    monkeypatch.setattr(job_queue, "choose_fit", listens)
    jobs = [make_probe(0, holds_gb=12, pieces=None), make_probe(1)]
    assert launch(jobs, executor=Sends(6)).state is LaunchState.COMPLETE
    assert sorted(sent) == [0.0, 6.0]
    assert set(asked) == {True}


def test_what_ran_out_of_memory_is_laid_out_otherwise_until_it_fits(launch, make_probe):
    job = make_probe(0, holds_gb=12, pieces=None, limit_gb=4)

    assert launch([job], executor=Nodes(16)).state is LaunchState.COMPLETE

    assert [event.execution["pieces"] for event in events(launch, Submitted)] == [1, 2, 3]
    assert [event.result for event in events(launch, Ended)] == [
        Result.OUT_OF_MEMORY, Result.OUT_OF_MEMORY, Result.DONE,
    ]  # fmt: skip


def test_a_job_that_runs_out_of_memory_however_laid_out_fails_and_a_resume_begins_again(
    launch, make_probe
):
    job, other = make_probe(0, holds_gb=12, pieces=None, limit_gb=1), make_probe(1)
    below = make_probe(2, after=job)

    report = launch([job, other, below], executor=Nodes(16))

    assert report.ran == [other.key]
    assert set(report.blocked) == {below.key}
    assert report.failed[job.key] == "ran out of memory even in 4 pieces"
    assert [event.key for event in events(launch, Refused)] == [job.key]
    assert len(events(launch, Submitted)) == 4 + 1

    assert launch([job], executor=Nodes(16)).num_attempts == 0
    assert launch([job], executor=Nodes(16), fresh=True).num_attempts == 4


def test_a_layout_that_the_study_gives_is_not_tried_again_when_memory_ran_out(launch, make_probe):
    job = make_probe(0, holds_gb=12, pieces=2, limit_gb=4)

    report = launch([job], executor=Nodes(16))

    assert report.num_attempts == 1
    assert "6 GB are more than 4 GB" in report.failed[job.key]


def test_a_job_no_machine_can_hold_is_refused_with_the_reason_and_others_go_on(launch, make_probe):
    job, other = make_probe(0, holds_gb=80, pieces=None), make_probe(1)

    report = launch([job, other], executor=Nodes(4, 16))

    assert report.failed == {job.key: "needs 20 GB at least; the largest node has 16"}
    assert report.ran == [other.key]


class OtherAfterALoss(Nodes):
    """Nodes that lose their first job, and are another one from then on."""

    def __init__(self, before, after):
        super().__init__(before)
        self.after = (after,)

    def wait(self, timeout_s):
        if self.memory_gb == self.after:
            return super().wait(timeout_s)
        self.memory_gb = self.after
        ticket, _, _ = self._queue.popleft()
        return [Outcome(ticket=ticket, ending=Ending.LOST, error="its node died")]


def test_a_lost_job_keeps_its_layout_though_there_is_more_room_now(launch, make_probe):
    launch([make_probe(0, holds_gb=12, pieces=None)], executor=OtherAfterALoss(4, 16))

    assert [event.execution["pieces"] for event in events(launch, Submitted)] == [3, 3]


def test_a_lost_job_is_laid_out_anew_when_its_machines_are_gone(launch, make_probe):
    launch([make_probe(0, holds_gb=12, pieces=None)], executor=OtherAfterALoss(16, 4))

    assert [event.execution["pieces"] for event in events(launch, Submitted)] == [1, 3]


class Preempts(LocalExecutor):
    """Every attempt is stopped by the machine after it came as far as it is told to, then runs."""

    def __init__(self, artifact, *fractions):
        super().__init__()
        self.artifact = artifact
        self.fractions = list(fractions)

    def wait(self, timeout_s):
        if not self.fractions or not self._queue:
            return super().wait(timeout_s)
        ticket, _, _ = self._queue.popleft()
        folder = AttemptFolder(self.artifact, ticket)
        folder.show_progress(self.fractions.pop(0), "training")
        answer = Answer(state=State.STOPPED, seconds=1.0).to_json()
        return [Outcome(ticket=ticket, ending=Ending.RETURNED, answer=answer)]


@pytest.mark.parametrize(
    ("fractions", "comes_to", "attempts"),
    [
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], LaunchState.COMPLETE, 7),
        ([0.1, 0.1, 0.1, 0.1, 0.2], LaunchState.COMPLETE, 6),
        ([0.1, 0.1, 0.1, 0.1, 0.1, 0.2], LaunchState.FAILED, 5),
    ],
)
def test_a_preempted_job_goes_on_as_long_as_it_comes_further(
    launch, make_probe, fractions, comes_to, attempts
):
    job = make_probe(0)

    report = launch([job], executor=Preempts(launch.artifact(job), *fractions))

    assert (report.state, report.num_attempts) == (comes_to, attempts)
    assert {event.result for event in events(launch, Ended)} <= {Result.PREEMPTED, Result.DONE}


def test_a_job_whose_host_ran_out_of_memory_is_tried_once_more_when_nothing_can_change(
    launch, make_probe
):
    class Starved(LocalExecutor):
        def wait(self, timeout_s):
            return [
                replace(found, ending=Ending.OUT_OF_MEMORY, answer=None, error="no memory left")
                for found in super().wait(timeout_s)
            ]

    report = launch([make_probe(0, fail=True)], executor=Starved())

    assert report.num_attempts == 2
    assert [event.result for event in events(launch, Ended)] == [Result.OUT_OF_MEMORY] * 2


def write_past(launch, job, *results, num_gpus=0.0, **execution):
    """The ledger of an earlier launch that was killed."""
    ledger = Ledger(launch.root, "study", "20200101-000000-aaaa")
    for number, result in enumerate(results):
        told = {"key": job.key, "attempt": str(number), "at": float(number)}
        ledger.append(Submitted(**told, num_gpus=num_gpus, execution=execution))
        if result is not None:
            ledger.append(Ended(**told, result=result, seconds=1.0))
    ledger.close()


@pytest.mark.parametrize("result", [None, Result.LOST, Result.OUT_OF_MEMORY])
def test_a_layout_of_another_version_of_the_kind_does_not_end_the_launch(
    launch, make_probe, result
):
    job = make_probe(0, holds_gb=12, pieces=None)
    write_past(launch, job, result, pieces=2, slices=3)

    assert launch([job], executor=Nodes(16)).state is LaunchState.COMPLETE


class WithGpus(Nodes):
    def nodes(self):
        return [replace(node, num_gpus=1) for node in super().nodes()]


@pytest.mark.parametrize(("num_gpus", "pieces"), [(0, 1), (1, 3)])
def test_what_was_laid_out_without_gpus_is_laid_out_anew_where_there_are_some(
    launch, make_probe, num_gpus, pieces
):
    job = make_probe(0, holds_gb=12, pieces=None)
    write_past(launch, job, None, num_gpus=num_gpus, pieces=3)

    launch([job], executor=WithGpus(16))

    assert events(launch, Submitted)[-1].execution == {"pieces": pieces}


def test_a_job_that_begins_again_as_it_is_laid_out_anew_is_as_far_as_it_then_comes():
    history = History()
    told = {"key": "a", "at": 0.0}
    for number, (result, fraction) in enumerate(
        [(Result.PREEMPTED, 0.5), (Result.OUT_OF_MEMORY, None)]
        + [(Result.PREEMPTED, fraction) for fraction in (0.1, 0.2, 0.3, 0.4)]
    ):
        layout = {"pieces": 1 if number < 2 else 2}
        add(history, Submitted(**told, attempt=str(number), execution=layout))
        add(
            history,
            Ended(**told, attempt=str(number), result=result, seconds=1.0, fraction=fraction),
        )
    assert not history.jobs["a"].given_up
