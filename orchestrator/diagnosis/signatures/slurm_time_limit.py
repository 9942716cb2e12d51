"""The batch job's time was up."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"CANCELLED AT \S+ DUE TO TIME LIMIT|"
    r"\bDUE TO TIME LIMIT\b|"
    r"State=TIMEOUT\b"
)
FAULT_CLASS = FaultClass.PREEMPTED
REMEDY = (
    "the same command goes on from the last checkpoint; raise `time:` in the profile's limits "
    "if jobs get no further"
)
