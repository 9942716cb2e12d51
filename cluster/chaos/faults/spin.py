"""Fault `spin`: a process of a job computes at one place of its code for a while, or for ever."""

import time

from cluster.chaos.fault import Moment

HELP = (
    "a process of a job computes for so many seconds at one place of its code and does not get on; "
    "of several ranks, one at random"
)
POINTS = ("step", "attempt", "publish", "published")
WHO = ("job",)
AMOUNT: float | None = 20.0
UNIT = "s"
LASTS = False
IS_DRAWN = False


def strike(moment: Moment) -> None:
    """Compute; an interrupt ends it."""
    until = time.monotonic() + moment.amount
    while time.monotonic() < until:
        pass
