"""One launch, from jobs to its report; the executor starts only when there is something to run."""

import hashlib
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

from cluster.delivery.packages import digest_packages
from cluster.errors import SurroundingsError
from cluster.executor import Executor
from cluster.locks.held import Held
from cluster.orphans.launch_label import LaunchLabel, labelled
from cluster.storage import Storage
from jobs.artifacts.job import Job
from jobs.hub.offline import is_hub_offline
from jobs.worker.loaded_code import launch_set_apart
from jobs.worker.versions import PACKAGES, code_commit, library_versions
from orchestrator.budget.budget import Budget
from orchestrator.budget.prices import Prices
from orchestrator.chaos import Chaos
from orchestrator.diagnosis.signature import KnownFailure
from orchestrator.dispatch.dispatcher import Dispatcher
from orchestrator.dispatch.job_states import JobState, JobStates
from orchestrator.dispatch.record_checks import RecordChecks
from orchestrator.dispatch.running_launch import RunningLaunch
from orchestrator.dispatch.telemetry import Telemetry
from orchestrator.dispatch.waiting.outage import GaveUp, persist, persist_under_lock
from orchestrator.dispatch.waiting.patience import Patience
from orchestrator.dispatch.watcher import Watcher
from orchestrator.dispatch.worker_messages import Assigner
from orchestrator.plan.retention import Retention
from orchestrator.records.events import LaunchEnded, LaunchStarted, LaunchState
from orchestrator.records.history import History, Journal
from orchestrator.records.letting_go import Gone
from orchestrator.records.root_file import root_id
from orchestrator.watchdog.limits import Limits

T = TypeVar("T")

_EXIT_CODES = {
    LaunchState.COMPLETE: 0,
    LaunchState.FAILED: 1,
    LaunchState.CANCELLED: 130,
    LaunchState.INTERRUPTED: 130,
    LaunchState.SUSPENDED: 75,
    LaunchState.OUT_OF_BUDGET: 76,
}


@dataclass(frozen=True, kw_only=True)
class LaunchReport:
    """What one launch did; jobs are given by key."""

    state: LaunchState
    """How the launch ended."""
    ran: Sequence[str]
    """Jobs that this launch did."""
    reused: Sequence[str]
    """Jobs that were done before, or that another launch did meanwhile."""
    failed: Mapping[str, str]
    """Job -> message of its last attempt."""
    blocked: Mapping[str, str]
    """Job -> the failed or cancelled job that it needs."""
    cancelled: Sequence[str]
    """Jobs that were cancelled one by one."""
    waiting: Sequence[str]
    """Jobs that were not reached."""
    waited_for: str | None
    """What the launch waited for until it gave up, and since when; None where it did not."""
    spent_budget: str | None = None
    """What was spent, reserved and is left, where the budget ended the launch; else None."""
    gone: Sequence[Gone] = ()
    """What was let go because all that read it were done."""
    num_attempts: int
    """Number of attempts submitted."""
    seconds: float
    """Wall time of the launch, in seconds."""

    @property
    def exit_code(self) -> int:
        """Exit code of the command."""
        return _EXIT_CODES[self.state]


def run_study(
    jobs: Sequence[Job],
    *,
    done: Set[str],
    stale: Set[str] = frozenset(),
    storage: Storage,
    study: str,
    launch: str,
    executor: Executor,
    executor_name: str,
    past: History,
    fresh: bool = False,
    held: Held | None = None,
    patience: Patience | None = None,
    since: float | None = None,
    watcher: Watcher | None = None,
    budget: Budget | None = None,
    prices: Prices | None = None,
    retention: Retention | None = None,
    chaos: Chaos | None = None,
    limits: Limits | None = None,
    signatures: Sequence[KnownFailure] = (),
) -> LaunchReport:
    """Run the jobs that are not done. The caller holds the study's lock, and planned under it.

    Args:
        jobs: All jobs in topological order; equal keys are one job.
        done: Keys of finished jobs; they may lie outside `jobs`.
        stale: Keys of jobs whose record is deleted before they run again.
        storage: The output root.
        study: Name of the study.
        launch: Id of this launch, from `launch_id.new_launch_id`.
        executor: Where jobs run; started here when there is something to run, then closed.
        executor_name: Name of the executor, for the ledger.
        past: What the ledger says so far; this launch's events are added to it.
        fresh: Give jobs that failed earlier a new retry budget (`resume`).
        held: The study's lock, asked before everything that is written; None where no other
            launch can be.
        patience: How long to wait for the surroundings; None for as long as usual.
        since: When the study's lock was taken, in seconds since the epoch; None for now.
        watcher: Follows the launch; None for nobody.
        budget: The most that all launches of the study may spend; None for any amount.
        prices: What machines cost; None where that is not known.
        retention: What is let go once it was read; None for nothing.
        chaos: Faults to inject on purpose; None for none. The caller has armed this process.
        limits: How long jobs may show no progress; None for as long as usual.
        signatures: Signatures of failures that people brought along.

    Raises:
        SurroundingsError: the executor cannot start, or the root cannot be written.
    """
    started = time.monotonic()
    held = held or Held()
    states = JobStates(jobs, done)
    if not states.unsettled:
        return _report(LaunchState.COMPLETE, states, None, started)
    patience, watcher = patience or Patience(), watcher or Watcher()

    def wait_for(action: Callable[[], T]) -> T:
        return persist_under_lock(action, storage, patience, watcher.note_wait)

    wait_for(held.confirm)
    identity = wait_for(lambda: root_id(storage))
    telemetry = Telemetry(storage, study, launch, states.jobs)
    journal = wait_for(lambda: Journal(storage, study, launch, past, telemetry.note))
    journal.append(
        LaunchStarted(
            at=time.time(),
            launch=launch,
            host=platform.node(),
            pid=os.getpid(),
            executor=executor_name,
            fresh=fresh,
            budget=budget.limits if budget else {},
            chaos=chaos.words if chaos else "",
            version=library_versions().get("deltascale"),
            commit=code_commit(),
            code=digest_packages(PACKAGES),
        )
    )
    wait_for(journal.flush)
    state, dispatcher = LaunchState.INTERRUPTED, None
    try:
        dispatcher = Dispatcher(
            RunningLaunch(
                id=launch,
                since=time.time() if since is None else since,
                states=states,
                assigner=Assigner(
                    storage=storage,
                    root_id=identity,
                    study=study,
                    commit=code_commit(),
                    visible_within_s=patience.visible_within_s,
                    is_root_marked=True,
                    chaos=chaos.folder.name if chaos else "",
                    is_hub_offline=wait_for(lambda: is_hub_offline(storage)),
                ),
                executor=executor,
                journal=journal,
                records=wait_for(
                    lambda: RecordChecks(
                        storage, [states.jobs[key] for key in stale & states.jobs.keys()], held
                    )
                ),
                held=held,
                patience=patience,
                watcher=watcher,
                budget=budget or Budget(),
                prices=prices,
                retention=retention or Retention(),
                chaos=chaos,
                limits=limits or Limits(),
                signatures=signatures,
            ),
            done,
        )
        wait_for(dispatcher.requests.heed_retries)
        dispatcher.queue.settle_past()
        if states.unsettled and not dispatcher.is_spent_already():
            label = LaunchLabel(root=_label(storage, identity), study=study, launch=launch)
            with labelled(label), _open_executor(executor), launch_set_apart():
                dispatcher.run()
        state = _state(states, dispatcher)
    except GaveUp:
        state = LaunchState.SUSPENDED
        raise
    finally:
        telemetry.close()
        why = dispatcher.spent_budget if dispatcher else None
        journal.append(LaunchEnded(at=time.time(), launch=launch, state=state.value, why=why))
        with suppress(SurroundingsError):  # jobs are done by their records; this is the history
            if state in (LaunchState.COMPLETE, LaunchState.FAILED):
                persist(journal.close, patience, lambda wait: watcher.note_wait(wait))
            else:
                journal.close()
    return _report(state, states, dispatcher, started)


def _label(storage: Storage, identity: str) -> str:
    """Return what tells a root from all others: its id, and its address where it was copied."""
    address = hashlib.sha256(storage.url.encode()).hexdigest()[:12]
    return f"{identity}@{address}"


@contextmanager
def _open_executor(executor: Executor) -> Iterator[None]:
    try:
        executor.start()
        yield
    finally:
        with suppress(SurroundingsError):  # the machines have gone
            executor.close()


def _state(states: JobStates, dispatcher: Dispatcher) -> LaunchState:
    if states.counts[JobState.DONE] == len(states.jobs):
        return LaunchState.COMPLETE
    return dispatcher.stops_as


def _report(
    state: LaunchState, states: JobStates, dispatcher: Dispatcher | None, started: float
) -> LaunchReport:
    return LaunchReport(
        state=state,
        ran=dispatcher.consequences.ran if dispatcher else [],
        reused=dispatcher.consequences.reused if dispatcher else states.in_state(JobState.DONE),
        failed={key: states.because[key] for key in states.in_state(JobState.FAILED)},
        blocked={key: states.because[key] for key in states.in_state(JobState.BLOCKED)},
        cancelled=states.in_state(JobState.CANCELLED),
        waiting=states.in_state(JobState.WAITING) + states.in_state(JobState.RUNNING),
        waited_for=str(dispatcher.gave_up_on) if dispatcher and dispatcher.gave_up_on else None,
        spent_budget=dispatcher.spent_budget if dispatcher else None,
        gone=dispatcher.read_artifacts.gone if dispatcher else (),
        num_attempts=dispatcher.attempts.num_attempts if dispatcher else 0,
        seconds=round(time.monotonic() - started, 3),
    )
