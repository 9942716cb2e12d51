"""Fault `eio`: the disk fails."""

import errno

from cluster.chaos.fault import Moment

HELP = "a write or read meets an input/output error, for so many seconds (0: once)"
POINTS = ("write", "read")
WHO = ("job", "launch")
AMOUNT: float | None = 0.0
UNIT = "s"
LASTS = True
IS_DRAWN = True


def strike(moment: Moment) -> None:
    """Refuse what was about to be done. Raises OSError."""
    raise OSError(errno.EIO, moment.says("Input/output error"))
