"""Fault `stop-coordinator`: the launch itself is stopped, as by Ctrl-Z, and goes on later."""

from cluster.chaos.fault import Moment
from cluster.chaos.stopped_process import stop_for

HELP = "the launch itself is stopped (SIGSTOP) for so many seconds"
POINTS = ("settle", "submit", "round", "write")
WHO = ("launch",)
AMOUNT: float | None = 15.0
UNIT = "s"
LASTS = False
IS_DRAWN = True


def strike(moment: Moment) -> None:
    """Stop this process for a while."""
    stop_for(moment.amount)
