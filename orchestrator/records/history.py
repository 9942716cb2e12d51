"""The past of each job, from the ledger: tries, failures that count, time spent, last message."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cluster.fault_classes import FaultClass
from cluster.storage import Storage
from orchestrator.records import ledger
from orchestrator.records.failure import (
    FAILURES,
    RETRIES,
    Result,
    class_of_result,
    has_spent_retries,
    is_for_all,
)


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
    refused: str | None = None
    """Why no machine of the latest launch could hold the job."""
    submitted: ledger.Submitted | None = None
    """The latest submission, with the layout of the job."""
    tried: list[Mapping[str, object]] = field(default_factory=list)
    """Layouts that ran out of memory since the retry budget was last renewed, oldest first."""
    fraction: float = 0.0
    """How far the job was at most when an attempt failed, from 0 to 1."""

    @property
    def open_since(self) -> float | None:
        """When the oldest running attempt was submitted; None when none runs."""
        return min(self.open.values(), default=None)

    @property
    def given_up(self) -> bool:
        """True when the retry budget of the job is spent."""
        return has_spent_retries(self.failures)


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
    launch: ledger.LaunchStarted | None = None
    """The latest launch."""
    ended: ledger.LaunchEnded | None = None
    """The end of the latest launch; None while it runs, or when it was killed."""
    waiting: ledger.Waiting | None = None
    """What the latest launch waits for; None while nothing keeps it."""
    num_launches: int = 0
    """Number of launches so far."""
    launches: set[str] = field(default_factory=set)
    """Their ids."""
    spent: Spent = field(default_factory=Spent)
    """What the attempts of all launches have cost."""
    held: dict[str, _Held] = field(default_factory=dict)
    """Attempts of the latest launch that have no ending -> what they hold."""

    def of_job(self, key: str) -> JobHistory:
        """Return the past of one job, empty when it was never tried."""
        return self.jobs.get(key) or JobHistory()


def read_history(storage: Storage, study: str) -> History:
    """Read the whole ledger of a study."""
    return gather(ledger.read_events(storage, study))


def gather(events: Iterable[ledger.Event]) -> History:
    """Read a ledger into a History; memory grows with jobs, not with events."""
    history = History()
    for event in events:
        add(history, event)
    return history


def add(history: History, event: ledger.Event) -> None:
    """Add one event to a history."""
    if isinstance(event, ledger.LaunchStarted):
        _begin(history, event)
    elif isinstance(event, ledger.LaunchEnded):
        history.ended = event
    elif isinstance(event, ledger.Waiting):
        history.waiting = event if event.fault_class else None
    elif isinstance(event, ledger.Holding):
        _prolong(history.held.values(), event)
    else:
        job = history.jobs.setdefault(event.key, JobHistory())
        if isinstance(event, ledger.Submitted):
            history.held[event.attempt] = _Held(
                key=event.key,
                since=event.at,
                num_gpus=event.num_gpus,
                price=event.price,
                currency=event.currency,
            )
        elif isinstance(event, ledger.Ended):
            seconds = event.seconds if event.held is None else event.held
            _charge_hours(history, history.held.pop(event.attempt, None), seconds)
        _add_to_job(job, event)


def _prolong(held: Iterable[_Held], event: ledger.Holding) -> None:
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

    def __init__(self, storage: Storage, study: str, launch: str, past: History) -> None:
        super().__init__(storage, study, launch)
        self.past = past

    def append(self, event: ledger.Event) -> None:
        """Append an event to the ledger and add it to the history."""
        super().append(event)
        add(self.past, event)


def _begin(history: History, event: ledger.LaunchStarted) -> None:
    history.launch, history.ended, history.waiting = event, None, None
    history.num_launches += 1
    history.launches.add(event.launch)
    for attempt in history.held.values():
        # Its launch was killed: it cost what is known for sure.
        _charge_hours(history, attempt, attempt.seconds or 0.0)
    history.held.clear()
    for job in history.jobs.values():
        # An attempt without an ending belongs to a launch that was killed: no failure of the job.
        job.open.clear()
        job.refused = None
        # Credentials are renewed outside: a launch tries them again without being told to.
        del job.failures[FaultClass.PERMISSION]
        if event.fresh:
            job.failures.clear()
            _forget_layouts(job)


def _add_to_job(job: JobHistory, event: ledger.Submitted | ledger.Ended | ledger.Refused) -> None:
    if isinstance(event, ledger.Submitted):
        job.num_attempts += 1
        if not job.open:
            job.result = job.fault_class = None
        job.attempt, job.submitted = event.attempt, event
        job.open[event.attempt] = event.at
        return
    if isinstance(event, ledger.Refused):
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
    if event.result in (Result.BUSY, Result.NO_ROOM):
        job.num_attempts -= 1
        job.message = event.message or job.message
    if event.result in FAILURES and fault_class is not None:
        job.message = event.message if not job.given_up else job.message
        # Other workers take over the work of one that failed; a mistake would meet them all.
        if not job.open or is_for_all(fault_class):
            _charge(job, fault_class, event.fraction or 0.0)


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
        if fault_class is FaultClass.PREEMPTED:
            return
    laid_out = job.submitted.execution if job.submitted else {}
    if fault_class is FaultClass.OUT_OF_MEMORY and laid_out and laid_out not in job.tried:
        job.tried.append(laid_out)
        job.fraction = 0.0  # in another layout the job may begin again
    elif fault_class in RETRIES:
        job.failures[fault_class] += 1
