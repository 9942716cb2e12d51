"""The user or project may have no more bytes or files on this storage."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"Disk quota exceeded|"
    r"\bEDQUOT\b|"
    r"QuotaExceeded"
)
FAULT_CLASS = FaultClass.STORAGE_FULL
REMEDY = (
    "make room (`deltascale gc --apply`; `quota -s` or `lfs quota -h`), or ask for more; the "
    "launch goes on by itself"
)
