"""Fault `stall`: a process does nothing for a while, or for ever."""

import time

from cluster.chaos.fault import Moment

HELP = "a process of a job hangs for so many seconds; of several ranks, one at random"
POINTS = ("step", "attempt", "publish", "published", "write", "read")
WHO = ("job",)
AMOUNT: float | None = 20.0
UNIT = "s"
LASTS = False
IS_DRAWN = True


def strike(moment: Moment) -> None:
    """Sleep; an interrupt ends it."""
    time.sleep(moment.amount)
