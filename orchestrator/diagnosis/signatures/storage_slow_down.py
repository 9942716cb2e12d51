"""An object storage asks for fewer requests."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"\bSlowDown\b|"
    r"Please reduce your request rate|"
    r"RequestLimitExceeded|"
    r"TooManyRequestsException"
)
FAULT_CLASS = FaultClass.STORAGE_AWAY
REMEDY = "it passes by itself; fewer jobs at once help"
