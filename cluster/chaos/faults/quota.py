"""Fault `quota`: the quota is used up."""

import errno

from cluster.chaos.fault import Moment

HELP = "a write finds the quota used up, for so many seconds (0: once)"
POINTS = ("write",)
WHO = ("job", "launch")
AMOUNT: float | None = 0.0
UNIT = "s"
LASTS = True
IS_DRAWN = True


def strike(moment: Moment) -> None:
    """Refuse what was about to be done. Raises OSError."""
    raise OSError(errno.EDQUOT, moment.says("Disk quota exceeded"))
