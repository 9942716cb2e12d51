"""Fault `clock`: the clock of the machine is set, by a process's own reckoning."""

import time

from cluster.chaos.fault import Moment

HELP = "the clock, as the process reads it, is set ahead or back by so many seconds"
POINTS = ("round", "attempt", "step")
WHO = ("job", "launch")
AMOUNT: float | None = 7200.0
UNIT = "s"
LASTS = False
IS_DRAWN = True

_read = time.time


def strike(moment: Moment) -> None:
    """Set what `time.time` says in this process."""
    ahead = moment.amount if moment.number % 2 else -moment.amount
    time.time = lambda: _read() + ahead
    moment.undo(_set_right)


def _set_right() -> None:
    time.time = _read
