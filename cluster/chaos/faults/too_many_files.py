"""Fault `too-many-files`: the process may not open more files."""

import errno

from cluster.chaos.fault import Moment

HELP = "this process may not open more files, for so many seconds (0: once)"
POINTS = ("write", "read")
WHO = ("job", "launch")
AMOUNT: float | None = 0.0
UNIT = "s"
LASTS = True
IS_DRAWN = True


def strike(moment: Moment) -> None:
    """Refuse what was about to be done. Raises OSError."""
    raise OSError(errno.EMFILE, moment.says("Too many open files"))
