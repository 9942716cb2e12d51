"""A disk or a network file system gives errors, or its mount is gone."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"Input/output error|"
    r"Transport endpoint is not connected|"
    r"Remote I/O error|"
    r"\[Errno 5\]"
)
FAULT_CLASS = FaultClass.STORAGE_AWAY
REMEDY = "`dmesg | tail` on that node, and whether the mount answers (`ls` on it)"
