"""The past of a study, from its ledger: of every job, of its launches, and what they have cost."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from cluster.fault_classes import FaultClass
from cluster.storage import Storage
from orchestrator.records import events, ledger, ledger_lines
from orchestrator.records.injected import Injected
from orchestrator.records.job_history import JobHistory, add_to_job, renew
from orchestrator.records.pace import Pace


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
        add_to_job(job, event)


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
