"""Fault `port`: a network port that a job wants is in use."""

import errno

from cluster.chaos.fault import Moment

HELP = "a port that the job wants is in use"
POINTS = ("attempt", "step")
WHO = ("job",)
AMOUNT: float | None = None
UNIT = ""
LASTS = False
IS_DRAWN = True


def strike(moment: Moment) -> None:
    """Refuse the address. Raises OSError."""
    raise OSError(errno.EADDRINUSE, moment.says("Address already in use"))
