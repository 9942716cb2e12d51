"""A process may open no more files."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"Too many open files|"
    r"\bE[MN]FILE\b|"
    r"received 0 items of ancdata"
)
FAULT_CLASS = FaultClass.STORAGE_AWAY
REMEDY = (
    "raise the limit before the launch: `ulimit -n 65536`, or `LimitNOFILE` of the service "
    "that starts it"
)
