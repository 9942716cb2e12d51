"""The past of each job, from the ledger: tries, failures that count, time spent, last message."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from cluster.fault_classes import FaultClass
from cluster.storage import Storage
from orchestrator.records import events, ledger, ledger_lines
from orchestrator.records.failure import (
    FAILURES,
    REPEATS,
    RETRIES,
    Result,
    class_of_result,
    has_spent_retries,
    is_for_all,
)
from orchestrator.records.injected import Injected
from orchestrator.records.pace import Pace
from orchestrator.text import first_line


@dataclass(kw_only=True, slots=True)
class JobHistory:
    """The past of one job, added up event by event."""

    num_attempts: int = 0
    """Attempts submitted, without those that another launch kept from starting."""
    failures: Counter[FaultClass] = field(default_factory=Counter)
    """Failures that count, by class, since the retry budget was last renewed."""
    seconds: float = 0.0
    """Wall time of all its attempts that ended."""
    gpu_seconds: float = 0.0
    """How long each attempt held accelerators, times how many, summed; also of attempts whose
    launch was killed, until it last said that it was alive."""
    peak_gb: float = 0.0
    """Most host memory that an attempt that did the job held, in 10^9 bytes; 0: not measured."""
    attempt: str | None = None
    """Attempt that was submitted last."""
    open: dict[str, float] = field(default_factory=dict)
    """Attempts that have not ended -> when they were submitted."""
    result: Result | None = None
    """How the latest attempt ended; a DONE stays until the job is submitted again."""
    fault_class: FaultClass | None = None
    """Whose fault it is that the latest attempt failed; None where it did not."""
    message: str | None = None
    """Message of the latest failure."""
    stopped: str | None = None
    """What the latest attempt had saved when it was cancelled; None where it was not."""
    failed: events.Ended | None = None
    """The latest attempt that failed."""
    refused: str | None = None
    """Why no machine of the latest launch could hold the job."""
    submitted: events.Submitted | None = None
    """The latest submission, with the layout of the job."""
    tried: list[Mapping[str, object]] = field(default_factory=list)
    """Layouts that ran out of memory since the retry budget was last renewed, oldest first."""
    fraction: float = 0.0
    """How far the job was at most when an attempt failed, from 0 to 1."""
    ends: dict[tuple[str, str], str] = field(default_factory=dict)
    """Signature and place of failures since the job last got further -> the first such attempt."""
    repeated: str | None = None
    """Attempt that had failed in the same way at the same place as the latest one before the job
    was given up for it; None where none had."""

    @property
    def open_since(self) -> float | None:
        """When the oldest running attempt was submitted; None when none runs."""
        return min(self.open.values(), default=None)

    @property
    def given_up(self) -> bool:
        """True when the job is not tried again: its retries are spent, or it fails the same way."""
        return self.repeated is not None or has_spent_retries(self.failures)


@dataclass(kw_only=True, slots=True)
class _Held:
    """What an attempt without an ending holds."""

    key: str
    """Key of its job."""
    since: float
    """When it was submitted, in seconds since the epoch."""
    num_gpus: float
    """Accelerators."""
    price: float | None
    """What holding it costs, an hour."""
    currency: str | None
    """The currency of the price."""
    seconds: float | None = None
    """How long it has held them for sure; None until its launch first says that it is alive."""


@dataclass(kw_only=True)
class Spent:
    """What attempts that ended have cost, whatever came of them."""

    gpu_seconds: float = 0.0
    """Time that each held accelerators, times how many."""
    money: dict[str, float] = field(default_factory=dict)
    """Currency -> cost, of attempts whose price was known."""
    unpriced_seconds: float = 0.0
    """Time of attempts whose price was not known."""


@dataclass(kw_only=True)
class History:
    """The past of a study."""

    jobs: dict[str, JobHistory] = field(default_factory=dict)
    """Key -> past of the job; jobs never tried are absent."""
    launch: events.LaunchStarted | None = None
    """The latest launch."""
    ended: events.LaunchEnded | None = None
    """The end of the latest launch; None while it runs, or when it was killed."""
    waiting: events.Waiting | None = None
    """What the latest launch waits for; None while nothing keeps it."""
    stopping: events.Stopping | None = None
    """That the latest launch asked all its jobs to stop; None: it did not."""
    cancelled: set[str] = field(default_factory=set)
    """Keys of jobs that somebody has cancelled in the latest launch."""
    quarantined: dict[str, events.Quarantined] = field(default_factory=dict)
    """Node -> the latest word on its quarantine, of the latest launch."""
    injected: list[Injected] = field(default_factory=list)
    """Faults that launches injected on purpose."""
    num_launches: int = 0
    """Number of launches so far."""
    launches: set[str] = field(default_factory=set)
    """Their ids."""
    spent: Spent = field(default_factory=Spent)
    """What the attempts of all launches have cost."""
    pace: Pace = field(default_factory=Pace)
    """How much the latest launch does at a time."""
    held: dict[str, _Held] = field(default_factory=dict)
    """Attempts of the latest launch that have no ending -> what they hold."""

    def of_job(self, key: str) -> JobHistory:
        """Return the past of one job, empty when it was never tried."""
        return self.jobs.get(key) or JobHistory()


def read_history(storage: Storage, study: str) -> History:
    """Read the whole ledger of a study."""
    return gather(ledger.read_events(storage, study))


class HistoryTail:
    """The past of a study for who looks again and again: only what was added is read."""

    def __init__(self, storage: Storage, study: str) -> None:
        self._storage = storage
        self.study = study
        self._read: dict[str, int] = {}
        self._history = History()

    def read(self) -> History:
        """Return the past as it is now, always the same object."""
        for event in ledger_lines.new_events(self._storage, self.study, self._read):
            add(self._history, event)
        return self._history


def gather(ledgered: Iterable[events.Event]) -> History:
    """Read a ledger into a History; memory grows with jobs, not with events."""
    history = History()
    for event in ledgered:
        add(history, event)
    return history


def add(history: History, event: events.Event) -> None:
    """Add one event to a history."""
    if isinstance(event, events.LaunchStarted):
        _begin(history, event)
    elif isinstance(event, events.LaunchEnded):
        history.ended = event
    elif isinstance(event, events.Waiting):
        history.waiting = event if event.fault_class else None
    elif isinstance(event, Injected):
        history.injected.append(event)
    elif isinstance(event, events.Holding):
        _prolong(history.held.values(), event)
    elif isinstance(event, events.Quarantined):
        history.quarantined[event.node] = event
    elif isinstance(event, events.Stopping):
        if event.keys is None:
            history.stopping = event
        else:
            history.cancelled.update(event.keys)
    elif isinstance(event, events.Renewed):
        history.cancelled.difference_update(event.keys)
        for key in event.keys:
            if key in history.jobs:
                renew(history.jobs[key])
    else:
        job = history.jobs.get(event.key)
        if job is None:
            job = history.jobs[event.key] = JobHistory()
        if isinstance(event, events.Submitted):
            history.held[event.attempt] = _Held(
                key=event.key,
                since=event.at,
                num_gpus=event.num_gpus,
                price=event.price,
                currency=event.currency,
            )
            history.pace.note_start(event.at, event.num_gpus)
        elif isinstance(event, events.Ended):
            seconds = event.seconds if event.held is None else event.held
            attempt = history.held.pop(event.attempt, None)
            _charge_hours(history, attempt, seconds)
            if attempt is not None:
                history.pace.note_end(
                    event.at, attempt.num_gpus, worked_s=event.seconds, held_s=seconds
                )
        _add_to_job(job, event)


def _prolong(held: Iterable[_Held], event: events.Holding) -> None:
    """Add the time since the last such event; to an attempt submitted since, what of it is its."""
    for attempt in held:
        if attempt.seconds is None:
            # The clock of the wall may have been set meanwhile: the steady one says the most.
            attempt.seconds = min(event.seconds, max(0.0, event.at - attempt.since))
        else:
            attempt.seconds += event.seconds


def _charge_hours(history: History, attempt: _Held | None, seconds: float) -> None:
    """Add what an attempt cost that held its part of the machines for so long."""
    if attempt is None:
        return
    gpu_seconds = seconds * attempt.num_gpus
    history.jobs[attempt.key].gpu_seconds += gpu_seconds
    history.spent.gpu_seconds += gpu_seconds
    if attempt.price is None or attempt.currency is None:
        history.spent.unpriced_seconds += seconds
    else:
        money = history.spent.money
        money[attempt.currency] = money.get(attempt.currency, 0.0) + seconds / 3600 * attempt.price


class Journal(ledger.Ledger):
    """The open ledger of a launch, and the history that its events add to."""

    def __init__(
        self,
        storage: Storage,
        study: str,
        launch: str,
        past: History,
        note: Callable[[events.Event], None] = lambda event: None,
    ) -> None:
        super().__init__(storage, study, launch)
        self.past = past
        self._note = note

    def append(self, event: events.Event) -> None:
        """Append an event to the ledger and add it to the history."""
        self.take_in(event)
        self.write_down(event)

    def take_in(self, event: events.Event) -> None:
        """Add an event to the history alone, so that what follows from it can be decided."""
        add(self.past, event)

    def write_down(self, event: events.Event) -> None:
        """Append an event to the ledger that the history has taken in, and tell who listens."""
        super().append(event)
        self._note(event)


def _begin(history: History, event: events.LaunchStarted) -> None:
    history.launch, history.ended, history.waiting = event, None, None
    history.stopping = None
    history.cancelled.clear()
    history.num_launches += 1
    history.launches.add(event.launch)
    for attempt in history.held.values():
        # Its launch was killed: it cost what is known for sure.
        _charge_hours(history, attempt, attempt.seconds or 0.0)
    history.held.clear()
    history.pace = Pace()
    history.quarantined.clear()
    for job in history.jobs.values():
        # An attempt without an ending belongs to a launch that was killed: no failure of the job.
        job.open.clear()
        job.refused = None
        # Credentials are renewed outside: a launch tries them again without being told to.
        del job.failures[FaultClass.PERMISSION]
        if event.fresh:
            renew(job)


def renew(job: JobHistory) -> None:
    """Give a job a fresh retry budget."""
    job.failures.clear()
    job.ends.clear()
    job.repeated = job.refused = None
    _forget_layouts(job)


def _add_to_job(job: JobHistory, event: events.Submitted | events.Ended | events.Refused) -> None:
    if isinstance(event, events.Submitted):
        job.num_attempts += 1
        if not job.open:
            job.result = job.fault_class = job.stopped = None
        job.attempt, job.submitted = event.attempt, event
        job.open[event.attempt] = event.at
        return
    if isinstance(event, events.Refused):
        job.open.clear()
        job.refused = job.message = event.message
        return
    fault_class = event.fault_class or class_of_result(event.result)
    job.open.pop(event.attempt, None)
    if job.result is not Result.DONE:
        job.result, job.fault_class = event.result, fault_class
    job.seconds += event.seconds
    if event.result is Result.DONE and event.peak_gb:
        job.peak_gb = max(job.peak_gb, event.peak_gb)
    if event.result is Result.CANCELLED:
        job.stopped = event.message
    if event.result in (Result.BUSY, Result.NO_ROOM):
        job.num_attempts -= 1
        job.message = event.message or job.message
    if event.result in FAILURES and fault_class is not None:
        job.failed = event
        job.message = event.message if not job.given_up else job.message
        # Other workers take over the work of one that failed; a mistake would meet them all.
        if not job.open or is_for_all(fault_class):
            _charge(job, fault_class, event.fraction or 0.0)
            _compare_end(job, fault_class, event)


def _compare_end(job: JobHistory, fault_class: FaultClass, event: events.Ended) -> None:
    """Note how an attempt failed and where; the job is given up when one before it did the same.

    Faults of the surroundings do not count, nor does a process that died without a known cause.
    """
    signature = signature_of(fault_class, event)
    if signature is None:
        return
    laid_out = job.submitted.execution if job.submitted else {}
    at = f"step {event.step}" if event.step is not None else f"{event.fraction or 0.0:.6f}"
    place = f"{at} {sorted(laid_out.items())}"
    before = job.ends.setdefault((signature, place), event.attempt)
    if before != event.attempt:
        job.repeated = before


def signature_of(fault_class: FaultClass, event: events.Ended) -> str | None:
    """Return what tells one failure from another; None where nothing is known, or it may pass."""
    if fault_class not in REPEATS or (event.signal == "SIGKILL" and event.signature is None):
        return None
    cause = event.signature or event.signal or event.exit_code
    if cause is not None:
        return f"{fault_class.value}: {cause}"
    if fault_class is FaultClass.LOST_PROCESS:
        return None
    line = first_line(event.message or "")
    return f"{fault_class.value}: {_NUMBERS.sub('#', line)}" if line else None


_NUMBERS = re.compile(r"0x[0-9a-f]+|[0-9]+(?:\.[0-9]+)?")
"""What differs from attempt to attempt in one and the same message: ids, addresses, sizes."""


def _forget_layouts(job: JobHistory) -> None:
    """Let the kind choose any layout again, but keep one that did not run out of memory."""
    if job.submitted is not None and job.submitted.execution in job.tried:
        job.submitted = None
    job.tried.clear()


def _charge(job: JobHistory, fault_class: FaultClass, fraction: float) -> None:
    """Count a failure; a job that got further than ever before has its budgets back first."""
    if fraction > job.fraction:
        job.fraction = fraction
        job.failures.clear()
        job.ends.clear()
        if fault_class is FaultClass.PREEMPTED:
            return
    laid_out = job.submitted.execution if job.submitted else {}
    if fault_class is FaultClass.OUT_OF_MEMORY and laid_out and laid_out not in job.tried:
        job.tried.append(laid_out)
        job.fraction = 0.0  # in another layout the job may begin again
    elif fault_class in RETRIES:
        job.failures[fault_class] += 1
