"""What the error codes of S3, and of stores that speak it, mean: whose fault, and what to do.

A code that stands nowhere here means a storage that is away.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from cluster.fault_classes import FaultClass


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Says what one kind of refusal means."""

    cause: str
    """What has happened; `{code}` stands for the code."""
    hint: str
    """What the user can do."""
    fault_class: FaultClass
    """Whose fault it is."""


_BUSY = Answer(
    cause="the storage keeps answering {code}",
    hint="it is overloaded or out of order; try again later",
    fault_class=FaultClass.STORAGE_AWAY,
)
_FULL = Answer(
    cause="the storage has no room left, or a quota is reached ({code})",
    hint="free space there or raise the quota; the same command goes on from there",
    fault_class=FaultClass.STORAGE_FULL,
)
_EXPIRED = Answer(
    cause="the credentials have expired ({code})",
    hint="renew them where they come from: a running launch reads a file of credentials again, "
    "but never sees new variables; then the same command goes on",
    fault_class=FaultClass.PERMISSION,
)
_UNKNOWN_KEY = Answer(
    cause="the storage does not take this key, or not its secret ({code})",
    hint="look at AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, and whether "
    "AWS_ENDPOINT_URL is the storage that they are of",
    fault_class=FaultClass.PERMISSION,
)
_CLOCK = Answer(
    cause="the clock of this machine and that of the storage differ by too much ({code})",
    hint="set the clock of this machine, as with `timedatectl set-ntp true`",
    fault_class=FaultClass.PERMISSION,
)
_REGION = Answer(
    cause="the bucket is in another region ({code})",
    hint="set AWS_DEFAULT_REGION to the region of the bucket",
    fault_class=FaultClass.MISTAKE,
)


ANSWERS: Mapping[str, Answer] = {
    **dict.fromkeys(("SlowDown", "SlowDownRead", "SlowDownWrite", "ServiceUnavailable"), _BUSY),
    **dict.fromkeys(("InternalError", "500", "502", "503", "504", "RequestTimeout"), _BUSY),
    **dict.fromkeys(("TooManyRequests", "429", "Throttling", "RequestLimitExceeded"), _BUSY),
    **dict.fromkeys(("XMinioServerNotInitialized", "OperationAborted"), _BUSY),
    **dict.fromkeys(("XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "507"), _FULL),
    **dict.fromkeys(("QuotaExceeded", "InsufficientStorage", "StorageQuotaExceeded"), _FULL),
    **dict.fromkeys(("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"), _EXPIRED),
    **dict.fromkeys(("InvalidToken",), _EXPIRED),
    **dict.fromkeys(("InvalidAccessKeyId", "SignatureDoesNotMatch"), _UNKNOWN_KEY),
    **dict.fromkeys(("RequestTimeTooSkewed", "RequestExpired"), _CLOCK),
    **dict.fromkeys(("AuthorizationHeaderMalformed", "PermanentRedirect", "301"), _REGION),
    **dict.fromkeys(("IllegalLocationConstraintException",), _REGION),
}
"""Code -> what it means. MinIO's begin with X; a number is the answer to a request for a head."""

OF_CREDENTIALS = frozenset(
    ["400", "403"]
    + [code for code, answer in ANSWERS.items() if answer in (_EXPIRED, _UNKNOWN_KEY)]
)
"""Codes after which other credentials may help; a request for a head has its number alone."""


def is_passing(code: str) -> bool:
    """Tell whether a code means that the same request may be answered in a while."""
    return ANSWERS.get(code) is _BUSY
