"""A file system takes no writes."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"Read-only file system|"
    r"\bEROFS\b"
)
FAULT_CLASS = FaultClass.STORAGE_READ_ONLY
REMEDY = (
    "mount it for writing: after an error the kernel switches a disk over, `dmesg | tail` says so"
)
