"""`Held`: what the holder of a lock has in hand; it asks `check` and `confirm` before it writes."""

from cluster.errors import SurroundingsError
from cluster.fault_classes import FaultClass
from cluster.locks.holder import Holder


class Occupied(Exception):
    """Somebody else holds the lock."""

    def __init__(self, holder: Holder | None = None, silent_s: float = 0.0) -> None:
        super().__init__(str(holder))
        self.holder = holder
        self.silent_s = silent_s
        """Seconds since the last sign of life of whoever holds it."""


class LockLost(SurroundingsError):
    """The lock is not ours any more: this process writes nothing more, and ends."""

    default_code = "lock-lost"
    default_class = FaultClass.PREEMPTED


class LockUnsure(SurroundingsError):
    """Whether the lock is still ours is not known now: nothing is written until it is."""

    default_class = FaultClass.STORAGE_AWAY


class Held:
    """A lock in hand. This one is of work that nobody else can meet: it is never lost."""

    token: int = 0
    """Number of this holding: whoever takes the lock later has a higher one."""

    def check(self) -> None:
        """Return when the lock is surely held; costs no request, so ask before every step.

        Raises:
            LockLost: it is somebody else's.
            LockUnsure: it may be, as far as is known here.
        """

    def confirm(self) -> None:
        """As `check`, after a look at the lock itself: ask before something is written over."""
        self.check()
