"""Faults of a service: worth another try, or final; and the fault that an HTTP status means.

Reasons are short and in our words: of what was answered only a plain name, and never a key.
"""

import email.utils
import math
import re
import time
from collections.abc import Mapping

from cluster.errors import UserError
from cluster.fault_classes import FaultClass
from cluster.redaction.redactor import redacted

_TRANSIENT = frozenset({408, 409, 425, 429})
_REFUSALS = {
    401: "the service does not accept the key",
    403: "the service does not let this key do this",
    404: "the service has no such address or model",
}
_LONGEST_NAME = 128
_MOST_ANSWERED = 1 << 16
"""Characters that are read of a name: more than a key has, which is not cut before it is found."""
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")
_PLAIN_CODE = re.compile(r"[a-z][a-z_]{1,39}")


class TransientFault(Exception):
    """A request failed in a way that another try may mend."""

    def __init__(self, reason: str, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class NoAnswer(Exception):
    """A request will get no answer, and why."""

    def __init__(self, reason: str, *, is_away: bool = False) -> None:
        super().__init__(reason)
        self.is_away = is_away
        """True when the service did not answer at all, however often it was asked."""

    @property
    def fault_class(self) -> FaultClass:
        """Whose fault it is, where a whole job has to end for it."""
        return FaultClass.NETWORK if self.is_away else FaultClass.UNKNOWN


def fault_of_status(
    status: int, headers: Mapping[str, str], code: object, *, where: str
) -> UserError | TransientFault | NoAnswer:
    """Return the exception to raise for an HTTP status that is no success.

    Args:
        status: the HTTP status.
        headers: of the answer, names in lower case.
        code: the service's name of the fault; repeated where it is a plain word.
        where: the service, as a UserError names it.
    """
    if status in _REFUSALS:
        fault_class = FaultClass.MISTAKE if status == 404 else FaultClass.PERMISSION
        message = f"{_REFUSALS[status]} (HTTP {status})"
        return UserError(message, where=where, fault_class=fault_class)
    is_plain = isinstance(code, str) and _PLAIN_CODE.fullmatch(code)
    reason = f"HTTP {status} {plain_name(code)}" if is_plain else f"HTTP {status}"
    if status in _TRANSIENT or status >= 500:
        return TransientFault(reason, retry_after_s(headers.get("retry-after")))
    return NoAnswer(reason)


def plain_name(answered: object) -> str:
    """Return what a service calls itself or a fault: short, printable and without secrets.

    A server or a proxy may answer with what it was sent.
    """
    text = redacted(str(answered)[:_MOST_ANSWERED])[:_LONGEST_NAME]
    return _UNPRINTABLE.sub("?", text)


def retry_after_s(header: str | None) -> float | None:
    """Read the seconds in a Retry-After header, a number or a date; None where it is neither."""
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
