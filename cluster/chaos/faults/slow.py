"""Fault `slow`: every step takes longer for a while, as beside a busy neighbour."""

import time

from cluster.chaos.fault import Moment

HELP = "each step of a process takes 0.2 s longer, for so many seconds"
POINTS = ("step", "round")
WHO = ("job",)
AMOUNT: float | None = 10.0
UNIT = "s"
LASTS = True
IS_DRAWN = True

_PAUSE_S = 0.2


def strike(moment: Moment) -> None:
    """Sleep for a moment."""
    time.sleep(_PAUSE_S)
