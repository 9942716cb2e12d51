"""`Outage`: what of its surroundings a launch waits for now, since when, and when it looks again.

The launch takes its steps in rounds. A step that meets a fault of the surroundings ends its round;
the next one comes after a pause that grows, and repeats the step. Nothing that runs is touched.
"""

import time
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass
from typing import TypeVar

from cluster.errors import DeltascaleError, SurroundingsError
from cluster.fault_classes import FaultClass
from cluster.locks.held import LockLost
from cluster.redaction.redactor import redacted
from cluster.storage import Storage
from jobs.worker.mounted_root import require_mounted
from jobs.worker.whose_fault import class_of
from orchestrator.console import note
from orchestrator.dispatch.waiting.patience import Patience
from orchestrator.records.events import Waiting
from orchestrator.records.failure import WAITED_FOR, describe_wait


@dataclass(frozen=True, kw_only=True)
class Wait:
    """Something that is waited for."""

    fault_class: FaultClass
    """Whose fault it is."""
    message: str
    """What the surroundings said, without secrets."""
    since: float
    """When the wait began, in seconds since the epoch."""
    began: float
    """The same, by the clock of the launch's `Patience`."""

    def __str__(self) -> str:
        return describe_wait(self.fault_class, self.since, self.message)

    def event(self, at: float) -> Waiting:
        """Return what the ledger is told of it at this moment."""
        return Waiting(at=at, fault_class=self.fault_class, since=self.since, message=self.message)


class Outage:
    """The one thing that keeps a launch itself from going on, if there is one."""

    def __init__(self, patience: Patience, only: Set[FaultClass] = frozenset(FaultClass)) -> None:
        self.wait: Wait | None = None
        """What is waited for; None while all goes well."""
        self.is_without_cluster = False
        """True from when the machines have gone until the executor has started again."""
        self.num_tries = 0
        """Rounds in a row that failed."""
        self._patience = patience
        self._only = only
        self._look_at = 0.0

    @property
    def is_too_long(self) -> bool:
        """True once the wait has outlasted the launch's patience."""
        waited = 0.0 if self.wait is None else self._patience.clock() - self.wait.began
        return waited > self._patience.gives_up_after_s

    @property
    def pause_s(self) -> float:
        """Seconds until the next look is due; 0 where nothing is waited for."""
        return 0.0 if self.wait is None else max(0.0, self._look_at - self._patience.clock())

    def try_round(self, steps: Iterable[Callable[[], None]]) -> None:
        """Take steps in turn, unless a look is not due yet; the wait is over when all succeed."""
        if self.pause_s > 0:
            return
        try:
            for step in steps:
                step()
        except Exception as error:  # whatever the libraries of a storage raise; others pass on
            self.note(error)
        else:
            self.wait = None

    def note(self, error: Exception) -> None:
        """Begin or prolong the wait for a fault of the surroundings; raise any other one again."""
        fault_class = class_of(error)
        if fault_class not in self._only or not is_of_surroundings(error, fault_class):
            raise error
        now = self._patience.clock()
        if fault_class is FaultClass.CLUSTER:
            self.is_without_cluster = True
        self.num_tries = 1 if self.wait is None else self.num_tries + 1
        self._look_at = now + self._patience.pause_s(self.num_tries, self._patience.longest_look_s)
        self.wait = Wait(
            fault_class=fault_class,
            message=redacted(str(error)) or type(error).__name__,
            since=time.time() if self.wait is None else self.wait.since,
            began=now if self.wait is None else self.wait.began,
        )


class GaveUp(SurroundingsError):
    """The surroundings did not come back in time; all that was done is kept."""

    default_code = "gave-up"
    exit_code = 75


T = TypeVar("T")


OF_STORAGE = frozenset(
    {FaultClass.STORAGE_AWAY, FaultClass.STORAGE_FULL, FaultClass.STORAGE_READ_ONLY}
)
"""Faults of the storage that may pass by themselves."""
_PASSING = OF_STORAGE | {FaultClass.NETWORK}
"""What a launch waits for before its loop: other faults stay."""


def persist(
    action: Callable[[], T],
    patience: Patience,
    tell: Callable[[Wait | None], None],
    only: Set[FaultClass] = frozenset(FaultClass),
) -> T:
    """Do something again and again until the surroundings let it, and return what it returns.

    Args:
        action: what is to be done; it may be done several times.
        patience: how long, and how often.
        tell: called with what is waited for, and with None when that is over.
        only: faults of other classes are raised at once.

    Raises:
        GaveUp: they did not for as long as the launch has patience.
    """
    outage, results = Outage(patience, only), list[T]()
    while True:
        outage.try_round([lambda: results.append(action())])
        if results:
            if outage.num_tries:
                tell(None)
            return results[-1]
        if outage.is_too_long:
            raise GaveUp(f"gave up {outage.wait}", hint="the same command goes on from here")
        if outage.num_tries == 1:
            tell(outage.wait)
        patience.sleep(outage.pause_s)


def persist_under_lock(
    action: Callable[[], T],
    storage: Storage,
    patience: Patience,
    tell: Callable[[Wait | None], None],
) -> T:
    """Do as `persist` does; a lock's file that is away with its file system is waited for, too."""

    def act() -> T:
        try:
            return action()
        except LockLost:
            require_mounted(storage)
            raise

    return persist(act, patience, tell, _PASSING)  # what is damaged does not mend itself


def outlast_storage(action: Callable[[], T], patience: Patience) -> T:
    """Do as `persist` does while the storage or the network is away, and tell the terminal."""

    def tell(wait: Wait | None) -> None:
        note(str(wait) if wait else "the wait is over")

    return persist(action, patience, tell, _PASSING)


def is_of_surroundings(error: Exception, fault_class: FaultClass) -> bool:
    """Tell whether what the launch itself met is waited out.

    Its own memory is small: when there is none, somebody else has it.
    """
    if fault_class in WAITED_FOR or fault_class is FaultClass.OUT_OF_MEMORY:
        return True
    return isinstance(error, DeltascaleError) and fault_class is FaultClass.UNKNOWN
