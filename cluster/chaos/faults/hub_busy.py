"""Fault `hub-busy`: a hub or service answers that too much is asked of it."""

from cluster.chaos.fault import Moment

HELP = "a hub or service answers 429: too many requests"
POINTS = ("attempt", "step")
WHO = ("job",)
AMOUNT: float | None = None
UNIT = ""
LASTS = False
IS_DRAWN = True


class _Answer:
    status_code = 429


class TooManyRequests(OSError):
    """What the clients of hubs raise: an error that holds the answer."""

    response = _Answer()


def strike(moment: Moment) -> None:
    """Refuse a request. Raises TooManyRequests."""
    raise TooManyRequests(moment.says("429 Client Error: Too Many Requests"))
