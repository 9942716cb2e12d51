"""Asking again: what may pass is tried some more times, after waits that grow or were asked for.

Reasons are short and ours: never a word of what was asked or answered, and never a key.
"""

import email.utils
import math
import re
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from cluster.errors import UserError
from jobs.service.pace import Pace

Answer = TypeVar("Answer")

_LONGEST_WAIT_S = 120.0
"""Nobody waits longer for one answer; a service that asks for more is not there now."""
_PASSING = frozenset({408, 409, 425, 429})
_REFUSALS = {
    401: "the service does not accept the key",
    403: "the service does not let this key do this",
    404: "the service has no such address or model",
}
_PLAIN_CODE = re.compile(r"[a-z][a-z_]{1,39}")


class Passing(Exception):
    """It failed in a way that may pass."""

    def __init__(self, reason: str, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_s = retry_after_s


class Unanswered(Exception):
    """There will be no answer to this one, and why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def patiently(
    ask: Callable[[], Answer], pace: Pace, *, max_retries: int, first_wait_s: float
) -> Answer:
    """What `ask` returns, asked again while it fails in ways that may pass.

    Raises:
        Unanswered: it failed too often, or has to wait too long.
        Stopped: the job was asked to stop.
    """
    for tried in range(max_retries + 1):
        pace.take_turn()
        try:
            return ask()
        except Passing as fault:
            wait_s = fault.retry_after_s
            if tried == max_retries:
                raise Unanswered(f"{fault.reason}, {tried + 1} times") from None
            if wait_s is None:
                pace.rest(min(first_wait_s * 2.0**tried, _LONGEST_WAIT_S))
            elif wait_s > _LONGEST_WAIT_S:
                raise Unanswered(f"{fault.reason}, to be asked after {wait_s:.0f} s") from None
            else:
                pace.hold(wait_s)
    raise AssertionError("the last try returns or raises")


def fault_of_status(
    status: int, headers: Mapping[str, str], code: object, *, where: str
) -> Exception:
    """What an answer of this HTTP status means: to be raised.

    Args:
        status: 400 or more.
        headers: of the answer, names in lower case.
        code: what the service calls the fault; shown where it is a plain word.
        where: which service, as a user's mistake names it.
    """
    if status in _REFUSALS:
        return UserError(f"{_REFUSALS[status]} (HTTP {status})", where=where)
    named = isinstance(code, str) and _PLAIN_CODE.fullmatch(code)
    reason = f"HTTP {status} {code}" if named else f"HTTP {status}"
    if status in _PASSING or status >= 500:
        return Passing(reason, retry_after_s(headers.get("retry-after")))
    return Unanswered(reason)


def retry_after_s(header: str | None) -> float | None:
    """Seconds that a Retry-After header asks for, as a number or a date; None without a sense."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(header).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
