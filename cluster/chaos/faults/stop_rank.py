"""Fault `stop-rank`: a process of a job is stopped, all its threads, and goes on later."""

from cluster.chaos.fault import Moment
from cluster.chaos.stopped_process import stop_for

HELP = (
    "a process of a job is stopped (SIGSTOP) for so many seconds, all its threads; the launch ends "
    "it as hung where that is longer than 3 of its steps and 5 s"
)
POINTS = ("step", "attempt", "publish", "published", "write")
WHO = ("job",)
AMOUNT: float | None = 4.0
UNIT = "s"
LASTS = False
IS_DRAWN = True


def strike(moment: Moment) -> None:
    """Stop this process for a while."""
    stop_for(moment.amount)
