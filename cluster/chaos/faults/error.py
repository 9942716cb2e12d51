"""Fault `error`: the program of a job raises an error that nobody foresaw."""

from cluster.chaos.fault import Moment

HELP = "the job's program raises an error that nobody foresaw"
POINTS = ("step", "attempt", "publish", "published")
WHO = ("job",)
AMOUNT: float | None = None
UNIT = ""
LASTS = False
IS_DRAWN = True


def strike(moment: Moment) -> None:
    """Raise it. Raises RuntimeError."""
    raise RuntimeError(moment.says("something that nobody foresaw"))
