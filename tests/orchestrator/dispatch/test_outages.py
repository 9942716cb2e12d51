"""Faults of the surroundings around a launch: each ends as if it had not been, charged nothing.

The clock is the test's: every wait of the launch moves it on, and a fault begins and ends at given
moments. Storage, ledger, records and the jobs' work are real.
"""

import errno
import json
import math
import os
import time
from dataclasses import dataclass, field

import pytest

from cluster.disk import local_disk
from cluster.disk.unfinished import is_leftover
from cluster.errors import SurroundingsError
from cluster.executor import Ending, Outcome
from cluster.executors.local import Executor as LocalExecutor
from cluster.fault_classes import FaultClass
from cluster.machine.resources import Resources
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from jobs.worker.answer import Answer, Fault, State
from orchestrator.dispatch.execution import run_study
from orchestrator.dispatch.requests import ask_to_cancel
from orchestrator.dispatch.waiting.outage import GaveUp, outlast_storage
from orchestrator.dispatch.waiting.patience import Patience
from orchestrator.dispatch.watcher import Watcher
from orchestrator.records.events import Ended, LaunchState, Submitted, Waiting
from orchestrator.records.failure import WAITED_FOR, Result
from orchestrator.records.history import History, gather
from orchestrator.records.launch_id import new_launch_id
from orchestrator.records.ledger import read_events


@dataclass
class Clock:
    """A clock that only waiting moves."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def patience(self, **settings) -> Patience:
        return Patience(clock=self, sleep=self.sleep, draw=lambda: 0.5, **settings)


class Machines(LocalExecutor):
    """The local executor, on the test's clock; jobs that run hold their slot for a while."""

    def __init__(self, clock, *, job_s=1.0):
        super().__init__()
        self.clock, self.job_s = clock, job_s
        self.calls = []
        self.is_at_work = False

    def capacity(self):
        return Resources(num_cpus=2)

    def submit(self, ticket, entry, payload, resources):
        self.calls.append("submit")
        super().submit(ticket, entry, payload, resources)

    def cancel(self, ticket, *, within_s=None):
        self.calls.append("cancel")
        super().cancel(ticket)

    def wait(self, timeout_s):
        self.clock.sleep(self.job_s if self._queue else timeout_s)
        self.is_at_work = True
        try:
            return super().wait(timeout_s) if self._queue else []
        finally:
            self.is_at_work = False


@dataclass
class Notes(Watcher):
    """What a launch says that it waits for."""

    waits: list = field(default_factory=list)

    def note_wait(self, wait):
        self.waits.append(str(wait) if wait else None)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def chains(make_probe):
    """Two chains of three jobs."""
    jobs = []
    for start in (0, 10):
        above = None
        for step in range(3):
            above = make_probe(start + step, after=above)
            jobs.append(above)
    return jobs


def facts_of(root, jobs):
    """Everything in the records that does not tell of one attempt."""
    kept = []
    for job in jobs:
        record = json.loads(Artifact(root, job.kind, job.key).record_bytes())
        kept.append({name: record[name] for name in ("key", "facts", "files")})
    return kept


CALM = []
"""The records of the chains without any disturbance, once one test has asked for them."""


@pytest.fixture
def undisturbed(tmp_path, launch, chains):
    if not CALM:
        root = Storage(tmp_path / "undisturbed")
        type(launch)(root=root)(chains)
        CALM.extend(facts_of(root, chains))
    return CALM


def disturb_writes(monkeypatch, clock, number, begins, ends):
    """Let every write to the root fail with an error number for a while."""
    real = local_disk.write_unfinished
    real_pwrite = os.pwrite

    def is_on():
        return begins <= clock() < ends

    def fail(path, *arguments):
        if is_on():
            raise OSError(number, os.strerror(number), str(path))
        return real(path, *arguments)

    def fail_ledger(descriptor, data, offset):
        if is_on():
            # In part, as a disk does that runs full within a write.
            if len(data) > 10 and number == errno.ENOSPC:
                return real_pwrite(descriptor, data[:10], offset) and _raise(number)
            _raise(number)
        return real_pwrite(descriptor, data, offset)

    monkeypatch.setattr(local_disk, "write_unfinished", fail)
    monkeypatch.setattr(os, "pwrite", fail_ledger)


def _raise(number):
    raise OSError(number, os.strerror(number))


def assert_charged_nothing(root, jobs):
    history = gather(read_events(root, "study"))
    for job in jobs:
        assert history.of_job(job.key).failures.total() == 0
    return history


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "room on the storage"),
        (errno.EDQUOT, "room on the storage"),
        (errno.EROFS, "a storage that takes writes"),
        (errno.ESTALE, "the storage"),
        (errno.EIO, "the storage"),
    ],
)
def test_a_root_that_cannot_be_written_for_ten_minutes_costs_ten_minutes(
    monkeypatch, launch, chains, undisturbed, clock, root, number, words
):
    # Jobs write from the same process: they fail by the same fault.
    disturb_writes(monkeypatch, clock, number, begins=1001.5, ends=1601.5)
    notes = Notes()

    report = launch(chains, executor=Machines(clock), patience=clock.patience(), watcher=notes)

    assert report.state is LaunchState.COMPLETE
    assert facts_of(root, chains) == undisturbed
    assert 600 < clock() - 1000 < 700
    assert_charged_nothing(root, chains)
    assert notes.waits[0].startswith(f"waiting for {words} since ") and notes.waits[-1] is None
    assert len(notes.waits) <= 4, "one line for one wait"


ASKED_OF_STORAGE = ["read", "write", "create", "size", "list", "remove"]
KINDS_OF_FAULT = [
    SurroundingsError("no answer", fault_class=FaultClass.STORAGE_AWAY),
    SurroundingsError("no answer, for no known reason"),
    SurroundingsError("expired", fault_class=FaultClass.PERMISSION),
    TimeoutError("a library's own"),
]


@pytest.mark.parametrize("fault", KINDS_OF_FAULT, ids=repr)
@pytest.mark.parametrize("asked", ASKED_OF_STORAGE)
def test_whatever_the_launch_asks_of_its_storage_may_fail_for_three_minutes(
    monkeypatch, launch, chains, undisturbed, clock, asked, fault, tmp_path
):
    root = Storage(f"memory://{tmp_path.name}") if asked != "size" else launch.root
    machines = Machines(clock)
    real = getattr(Storage, asked)

    def ask(storage, *arguments, **options):
        if storage.url == root.url and not machines.is_at_work and 1001 < clock() < 1181:
            raise fault
        return real(storage, *arguments, **options)

    monkeypatch.setattr(Storage, asked, ask)
    patience, notes = clock.patience(), Notes()

    report = type(launch)(root=root)(chains, executor=machines, patience=patience, watcher=notes)

    monkeypatch.undo()
    assert report.state is LaunchState.COMPLETE
    assert report.num_attempts == len(chains)
    assert facts_of(root, chains) == undisturbed
    assert_charged_nothing(root, chains)
    assert sum(wait is not None for wait in notes.waits) <= 1, "one line"


@pytest.mark.parametrize("asked", ["capacity", "nodes", "free", "submit", "wait", "cancel"])
def test_whatever_the_launch_asks_of_its_machines_may_fail_until_they_start_again(
    launch, chains, undisturbed, clock, root, asked
):
    class Gone(Machines):
        has_gone, num_starts = False, 0

        def start(self):
            self.num_starts += 1
            if self.has_gone and clock() < 1100:
                raise SurroundingsError("nothing answers")
            self.has_gone = False

    def ask(machines, *arguments):
        if len(machines.calls) == 2 and machines.num_starts == 1:
            machines.has_gone = True
        if machines.has_gone:
            raise SurroundingsError("the head has gone", fault_class=FaultClass.CLUSTER)
        return getattr(Machines, asked)(machines, *arguments)

    setattr(Gone, asked, ask)
    machines = Gone(clock)

    report = launch(chains, executor=machines, patience=clock.patience())

    assert report.state is LaunchState.COMPLETE
    assert facts_of(root, chains) == undisturbed
    assert_charged_nothing(root, chains)


def test_a_launch_that_is_killed_while_it_tries_the_storage_leaves_what_gc_takes(
    launch, make_probe, clock, root, monkeypatch
):
    machines = Disturbed(clock, fails_by(FaultClass.STORAGE_FULL, Ending.RETURNED), 1000.5)
    monkeypatch.setattr(Storage, "remove", lambda storage, name: None)

    launch([make_probe(0)], executor=machines, patience=clock.patience())

    left = [name for name in os.listdir(root.path("studies/study")) if name.startswith(".")]
    assert len(left) == 1 and is_leftover(left[0])


def test_events_wait_in_memory_and_come_into_the_ledger_once_and_in_order(
    monkeypatch, launch, chains, clock, root
):
    disturb_writes(monkeypatch, clock, errno.ENOSPC, begins=1001.5, ends=1101.5)

    launch(chains, executor=Machines(clock), patience=clock.patience())

    lines = root.read(f"studies/study/ledger/{root.list('studies/study/ledger')[0]}").splitlines()
    assert all(isinstance(json.loads(line), dict) for line in lines)
    events = list(read_events(root, "study"))
    assert len(events) == len(lines)
    moments = [event.at for event in events]
    assert moments == sorted(moments)
    submitted = [event.attempt for event in events if isinstance(event, Submitted)]
    ended = [event.attempt for event in events if isinstance(event, Ended)]
    assert sorted(submitted) == sorted(ended) and len(set(submitted)) == len(submitted)
    waiting = [event for event in events if isinstance(event, Waiting)]
    assert waiting[0].fault_class is FaultClass.STORAGE_FULL and waiting[-1].fault_class is None


def test_while_the_storage_is_away_nothing_is_submitted_and_what_runs_is_left_alone(
    monkeypatch, launch, make_probe, clock
):
    class LongJobs(Machines):
        """Jobs that end well, but only an hour after the storage went away."""

        def wait(self, timeout_s):
            if self._queue and clock() < 4600:
                clock.sleep(timeout_s)
                return []
            return super().wait(timeout_s)

    machines = LongJobs(clock)
    disturb_writes(monkeypatch, clock, errno.EIO, begins=1000.5, ends=4500)
    jobs = [make_probe(index) for index in range(6)]

    report = launch(jobs, executor=machines, patience=clock.patience())

    assert report.state is LaunchState.COMPLETE
    assert "cancel" not in machines.calls
    assert report.num_attempts == 6


@pytest.mark.parametrize("is_local", [True, False])
def test_after_its_patience_a_launch_has_jobs_saved_and_the_same_command_goes_on(
    monkeypatch, tmp_path, launch, make_probe, clock, is_local, request
):
    root = launch.root if is_local else Storage(f"memory://{tmp_path.name}")
    launcher = type(launch)(root=root)

    class Endless(Machines):
        """A job that saves and returns when it is asked to, and else goes on."""

        def wait(self, timeout_s):
            clock.sleep(timeout_s)
            if not self._cancelled or not self._queue:
                return []
            ticket, _, _ = self._queue.popleft()
            answer = Answer(state=State.STOPPED, seconds=1.0).to_json()
            return [Outcome(ticket=ticket, ending=Ending.RETURNED, answer=answer)]

    jobs = [make_probe(index) for index in range(3)]
    disturbed = {"is_on": True}
    real = Storage.list

    def away(storage, folder):
        if disturbed["is_on"] and clock() > 1005 and folder.endswith("requests"):
            raise SurroundingsError("no answer", fault_class=FaultClass.STORAGE_AWAY)
        return real(storage, folder)

    monkeypatch.setattr(Storage, "list", away)
    patience = clock.patience(gives_up_after_s=3600.0)
    machines = Endless(clock)

    report = launcher(jobs, executor=machines, patience=patience)

    assert (report.state, report.exit_code) == (LaunchState.SUSPENDED, 75)
    assert "the storage since" in report.waited_for
    assert machines.calls.count("cancel") == machines.calls.count("submit")
    assert 3600 < clock() - 1000 < 3800

    disturbed["is_on"] = False
    assert launcher(jobs).state is LaunchState.COMPLETE
    assert_charged_nothing(root, jobs)


def test_the_loss_of_the_cluster_is_waited_out_and_it_is_started_again(
    launch, chains, undisturbed, clock, root
):
    class LosesItsHead(Machines):
        """After the third submission everything fails, and for five minutes nothing starts."""

        gone_at, is_back, num_starts = None, True, 0
        lost = ()

        def _ask(self):
            if self.gone_at is None and len(self.calls) == 3:
                self.gone_at, self.is_back = clock(), False
                self.lost = [ticket for ticket, _, _ in self._queue]
                self._queue.clear()
            if not self.is_back:
                raise gone()

        def start(self):
            self.num_starts += 1
            if self.gone_at is not None and clock() < self.gone_at + 300:
                raise gone()
            self.is_back = True

        def nodes(self):
            self._ask()
            return super().nodes()

        def submit(self, ticket, entry, payload, resources):
            self._ask()
            super().submit(ticket, entry, payload, resources)

        def wait(self, timeout_s):
            self._ask()
            lost, self.lost = self.lost, ()
            outcome = fails_by(FaultClass.CLUSTER)
            return [outcome(ticket) for ticket in lost] or super().wait(timeout_s)

    def gone():
        return SurroundingsError("the head has gone", fault_class=FaultClass.CLUSTER)

    machines, notes = LosesItsHead(clock), Notes()

    report = launch(chains, executor=machines, patience=clock.patience(), watcher=notes)

    assert report.state is LaunchState.COMPLETE
    assert facts_of(root, chains) == undisturbed
    assert 2 < machines.num_starts < 20
    assert 300 < clock() - 1000 < 400
    assert_charged_nothing(root, chains)
    ended = [event for event in read_events(root, "study") if isinstance(event, Ended)]
    assert FaultClass.CLUSTER in {event.fault_class for event in ended}
    assert "waiting for the cluster since" in notes.waits[0] and notes.waits[-1] is None


def test_the_nodes_of_a_cluster_that_came_back_may_join_it_one_by_one(launch, make_probe, clock):
    class ComesBackSlowly(Machines):
        """After the loss of the head there is no node, then a small one, then all again."""

        gone_at = None

        def nodes(self):
            since = math.inf if self.gone_at is None else clock() - self.gone_at
            small, large = Resources(num_cpus=1), Resources(num_cpus=8)
            return [] if since < 30 else [small] if since < 90 else [small, large]

        def wait(self, timeout_s):
            if self.gone_at is None and self._queue:
                self.gone_at = clock()
                self.lost = [ticket for ticket, _, _ in self._queue]
                self._queue.clear()
                raise SurroundingsError("the head has gone", fault_class=FaultClass.CLUSTER)
            lost, self.lost = self.lost, []
            return [fails_by(FaultClass.CLUSTER)(ticket) for ticket in lost] or super().wait(
                timeout_s
            )

    first = make_probe(0, num_cpus=8)
    jobs = [first, make_probe(1), make_probe(2, after=first, num_cpus=8)]

    report = launch(jobs, executor=ComesBackSlowly(clock), patience=clock.patience())

    assert report.state is LaunchState.COMPLETE


def fails_by(fault_class, ending=Ending.LOST):
    """An outcome of a call that ended by this fault."""

    def outcome(ticket):
        if ending is Ending.RETURNED:
            fault = Fault.of(SurroundingsError("around us", fault_class=fault_class))
            answer = Answer(state=State.FAILED, fault=fault).to_json()
            return Outcome(ticket=ticket, ending=ending, answer=answer)
        return Outcome(ticket=ticket, ending=ending, error="around us", fault_class=fault_class)

    return outcome


class Disturbed(Machines):
    """Every call fails in the same way until a given moment."""

    def __init__(self, clock, outcome, until):
        super().__init__(clock)
        self.outcome, self.until = outcome, until

    def wait(self, timeout_s):
        if self._queue and self.clock() < self.until:
            self.clock.sleep(0.1)
            ticket, _, _ = self._queue.popleft()
            return [self.outcome(ticket)]
        return super().wait(timeout_s)


UNCHARGED = sorted(
    WAITED_FOR - {FaultClass.PERMISSION, FaultClass.NO_ROOM}, key=lambda each: each.value
)


@pytest.mark.parametrize("ending", [Ending.RETURNED, Ending.LOST])
@pytest.mark.parametrize("fault_class", UNCHARGED)
def test_jobs_that_fail_by_their_surroundings_for_three_minutes_are_charged_nothing(
    launch, chains, undisturbed, clock, root, fault_class, ending
):
    machines = Disturbed(clock, fails_by(fault_class, ending), until=1180)

    report = launch(chains, executor=machines, patience=clock.patience())

    assert report.state is LaunchState.COMPLETE
    assert facts_of(root, chains) == undisturbed
    assert_charged_nothing(root, chains)
    # Pauses double: a handful of tries, not hundreds.
    assert report.num_attempts < 40


def test_a_neighbour_that_takes_the_hosts_memory_for_ninety_seconds_gives_nothing_up(
    launch, make_probe, clock, root
):
    def killed(ticket):
        return Outcome(
            ticket=ticket,
            ending=Ending.OUT_OF_MEMORY,
            error="killed: the host has no memory left; the largest process is `python` (50 GB)",
            fault_class=FaultClass.HOST_MEMORY,
        )

    jobs = [make_probe(index) for index in range(6)]
    notes = Notes()

    report = launch(
        jobs,
        executor=Disturbed(clock, killed, until=1090),
        patience=clock.patience(),
        watcher=notes,
    )

    assert report.state is LaunchState.COMPLETE
    assert_charged_nothing(root, jobs)
    assert clock() < 1300
    assert any(wait and "memory on the host" in wait and "50 GB" in wait for wait in notes.waits)


def test_permission_is_waited_for_a_few_minutes_then_given_up_and_tried_by_the_next_launch(
    launch, make_probe, clock, root
):
    job = make_probe(0)
    outcome = fails_by(FaultClass.PERMISSION, Ending.RETURNED)

    report = launch([job], executor=Disturbed(clock, outcome, until=1e9), patience=clock.patience())

    assert report.state is LaunchState.FAILED
    assert "around us" in report.failed[job.key]
    assert 300 < clock() - 1000 < 1200
    assert launch([job]).state is LaunchState.COMPLETE


def test_jobs_that_wait_in_vain_and_nothing_else_end_the_launch_after_its_patience(
    launch, make_probe, clock, root
):
    waiting, other = make_probe(0), make_probe(1)

    class OneIsCutOff(Machines):
        def wait(self, timeout_s):
            if self._queue and waiting.key in self._queue[0][2]:
                ticket, _, _ = self._queue.popleft()
                return [fails_by(FaultClass.NETWORK)(ticket)]
            return super().wait(timeout_s)

    report = launch(
        [waiting, other],
        executor=OneIsCutOff(clock),
        patience=clock.patience(gives_up_after_s=7200.0),
    )

    assert (report.state, report.ran) == (LaunchState.SUSPENDED, [other.key])
    assert "the network since" in report.waited_for
    assert 7200 < clock() - 1000 < 8000
    assert_charged_nothing(root, [waiting])
    assert launch([waiting, other]).state is LaunchState.COMPLETE


class PublishesLate(Machines):
    """Workers say that they are done; what they published is seen a minute later."""

    def __init__(self, clock, monkeypatch, late_s):
        super().__init__(clock)
        self.hidden = {}
        real = Artifact.record_bytes

        def record_bytes(artifact):
            seen = real(artifact)
            if seen is not None and artifact.key not in self.hidden:
                self.hidden[artifact.key] = clock() + late_s
            if clock() < self.hidden.get(artifact.key, 0) and not self.is_at_work:
                return None
            return seen

        monkeypatch.setattr(Artifact, "record_bytes", record_bytes)


def test_a_record_that_is_not_visible_yet_is_looked_for_while_other_jobs_go_on(
    monkeypatch, launch, make_probe, clock, root
):
    jobs = [make_probe(index) for index in range(5)]
    machines = PublishesLate(clock, monkeypatch, late_s=59.0)

    report = launch(jobs, executor=machines, patience=clock.patience())

    assert report.state is LaunchState.COMPLETE
    assert report.num_attempts == 5
    assert clock() - 1000 < 100, "they wait together"
    assert [event.result for event in read_events(root, "study") if isinstance(event, Ended)] == [
        Result.DONE
    ] * 5


def test_a_record_that_stays_away_is_an_error_of_the_job_only_after_a_minute(
    launch, make_probe, clock, root
):
    class Liar(Machines):
        def wait(self, timeout_s):
            self.clock.sleep(timeout_s)
            if not self._queue:
                return []
            ticket, _, _ = self._queue.popleft()
            answer = Answer(state=State.DONE).to_json()
            return [Outcome(ticket=ticket, ending=Ending.RETURNED, answer=answer)]

    report = launch([make_probe(0)], executor=Liar(clock), patience=clock.patience())

    assert report.state is LaunchState.FAILED
    assert report.num_attempts == 2
    assert 130 <= clock() - 1000 < 160


def test_a_record_is_believed_whatever_is_said_of_the_attempt_that_published_it(
    launch, make_probe, clock, root
):
    class DiesAfterwards(Machines):
        """The node is lost when the record has been published, before the answer is heard."""

        def wait(self, timeout_s):
            return [
                Outcome(
                    ticket=outcome.ticket,
                    ending=Ending.LOST,
                    error="its node died",
                    fault_class=FaultClass.LOST_NODE,
                )
                for outcome in super().wait(timeout_s)
            ]

    jobs = [make_probe(0), make_probe(1)]

    report = launch(jobs, executor=DiesAfterwards(clock), patience=clock.patience())

    assert report.state is LaunchState.COMPLETE
    assert (report.num_attempts, sorted(report.ran)) == (2, sorted(job.key for job in jobs))


def test_a_root_that_is_not_mounted_is_waited_for_and_nothing_is_written_beneath(
    launch, make_probe, clock, root, tmp_path
):
    jobs = [make_probe(index) for index in range(4)]
    place, elsewhere = root.url, tmp_path / "elsewhere"

    class Unmounts(Machines):
        """After the first job the root's file system is away for ten minutes."""

        gone_at = None
        seen = ()

        def wait(self, timeout_s):
            outcomes = super().wait(timeout_s)
            if self.gone_at is None:
                os.rename(place, elsewhere)
                os.mkdir(place)
                self.gone_at = clock()
            elif elsewhere.exists() and clock() > self.gone_at + 600:
                self.seen = tuple(os.listdir(place))
                os.rmdir(place)
                os.rename(elsewhere, place)
            return outcomes

    machines = Unmounts(clock)

    report = launch(jobs, executor=machines, patience=clock.patience())

    assert report.state is LaunchState.COMPLETE
    assert machines.seen == ()
    assert_charged_nothing(root, jobs)


def test_a_request_made_between_lock_and_first_look_is_heeded_and_an_older_one_is_not(
    launch, make_probe, root
):
    ask_to_cancel(root, "study", None)
    jobs = [make_probe(index) for index in range(3)]
    assert launch(jobs[:1]).state is LaunchState.COMPLETE

    since = time.time()
    ask_to_cancel(root, "study", None)
    report = launch(jobs, since=since)
    assert (report.state, report.ran) == (LaunchState.CANCELLED, [])
    assert not root.list("studies/study/requests")


@pytest.mark.parametrize("asked", ["read", "write", "create", "list"])
def test_whatever_a_launch_asks_of_its_storage_before_its_loop_may_fail_too(
    monkeypatch, chains, undisturbed, clock, asked, tmp_path
):
    root = Storage(f"memory://{tmp_path.name}-start")
    root.create("root.json", b'{"id": "one"}')
    machines, notes, real, asks = Machines(clock), Notes(), getattr(Storage, asked), []

    def ask(storage, *arguments, **options):
        if storage.url == root.url and clock() < 1090:
            asks.append(arguments)
            raise SurroundingsError("no answer", fault_class=FaultClass.STORAGE_AWAY)
        return real(storage, *arguments, **options)

    monkeypatch.setattr(Storage, asked, ask)
    report = run_study(
        chains,
        done=set(),
        past=History(),
        storage=root,
        study="study",
        launch=new_launch_id(),
        executor=machines,
        executor_name="local",
        patience=clock.patience(),
        watcher=notes,
    )
    monkeypatch.undo()
    assert report.state is LaunchState.COMPLETE and asks and clock() >= 1090
    assert facts_of(root, chains) == undisturbed
    assert sum(wait is not None for wait in notes.waits) >= 1 and notes.waits[-1] is None


def test_a_launch_whose_storage_stays_away_at_its_start_ends_for_now(
    monkeypatch, chains, clock, tmp_path
):
    root, machines = Storage(f"memory://{tmp_path.name}-away"), Machines(clock)

    def away(storage, *arguments, **options):
        raise SurroundingsError("no answer", fault_class=FaultClass.STORAGE_AWAY)

    monkeypatch.setattr(Storage, "create", away)
    with pytest.raises(GaveUp, match="gave up waiting for"):
        run_study(
            chains,
            done=set(),
            past=History(),
            storage=root,
            study="study",
            launch=new_launch_id(),
            executor=machines,
            executor_name="local",
            patience=clock.patience(gives_up_after_s=600),
        )
    assert 1600 < clock() < 1800 and machines.calls == []


def test_who_is_watched_by_nobody_waits_for_room_on_a_disk_that_is_full_from_the_first(
    clock, tmp_path, monkeypatch
):
    root, tries, fsync = Storage(tmp_path), [], os.fsync

    def run_full(descriptor):
        tries.append(descriptor)
        if len(tries) <= 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", run_full)
    outlast_storage(root.require_writable, clock.patience())
    assert len(tries) > 2


def test_who_is_watched_by_nobody_waits_for_the_storage_and_for_nothing_else(clock, capsys):
    faults = [
        SurroundingsError("no answer", fault_class=FaultClass.STORAGE_AWAY),
        OSError(errno.ESTALE, "Stale file handle"),
        SurroundingsError("another launch runs", fault_class=FaultClass.NO_ROOM),
    ]

    def act():
        raise faults.pop(0)

    with pytest.raises(SurroundingsError, match="another launch runs"):
        outlast_storage(act, clock.patience())
    assert not faults and clock() > 1000
    assert "waiting for the storage" in capsys.readouterr().err
