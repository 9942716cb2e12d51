"""Fault `enospc`: the disk has no space left."""

import errno

from cluster.chaos.fault import Moment

HELP = "a write finds no space left, for so many seconds (0: once)"
POINTS = ("write",)
WHO = ("job", "launch")
AMOUNT: float | None = 0.0
UNIT = "s"
LASTS = True
IS_DRAWN = True


def strike(moment: Moment) -> None:
    """Refuse what was about to be done. Raises OSError."""
    raise OSError(errno.ENOSPC, moment.says("No space left on device"))
