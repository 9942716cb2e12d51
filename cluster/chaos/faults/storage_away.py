"""Fault `storage-away`: the storage is away."""

import errno

from cluster.chaos.fault import Moment

HELP = (
    "the storage gives stale handles, as an NFS server that is away, for so many seconds (0: once)"
)
POINTS = ("write", "read")
WHO = ("job", "launch")
AMOUNT: float | None = 0.0
UNIT = "s"
LASTS = True
IS_DRAWN = True


def strike(moment: Moment) -> None:
    """Refuse what was about to be done. Raises OSError."""
    raise OSError(errno.ESTALE, moment.says("Stale file handle"))
