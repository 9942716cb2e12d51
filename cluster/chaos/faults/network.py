"""Fault `network`: a hub or service on the network does not answer."""

from cluster.chaos.fault import Moment

HELP = "a hub or service on the network does not answer"
POINTS = ("attempt", "step")
WHO = ("job",)
AMOUNT: float | None = None
UNIT = ""
LASTS = False
IS_DRAWN = True


def strike(moment: Moment) -> None:
    """Break a connection. Raises ConnectionError."""
    raise ConnectionError(moment.says("Connection refused"))
