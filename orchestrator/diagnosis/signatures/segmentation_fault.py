"""A process crashed in compiled code."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"(?i:segmentation fault)|"
    r"\bSIGSEGV\b"
)
FAULT_CLASS = FaultClass.LOST_PROCESS
REMEDY = (
    "the stack in the log names the library; try it with another version of it, and without "
    "what preloads libraries (LD_PRELOAD)"
)
