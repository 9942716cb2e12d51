"""Fault `read-only`: the file system takes no writes."""

import errno

from cluster.chaos.fault import Moment

HELP = "the file system takes no writes, for so many seconds (0: once)"
POINTS = ("write",)
WHO = ("job", "launch")
AMOUNT: float | None = 0.0
UNIT = "s"
LASTS = True
IS_DRAWN = True


def strike(moment: Moment) -> None:
    """Refuse what was about to be done. Raises OSError."""
    raise OSError(errno.EROFS, moment.says("Read-only file system"))
