"""A limit of the process or of the file system lets no file become so large."""

from cluster.fault_classes import FaultClass

PATTERN = r"File too large|\bEFBIG\b|File size limit exceeded"
FAULT_CLASS = FaultClass.MISTAKE
REMEDY = (
    "`ulimit -f` says how large a file may become: raise it where the launch, or the Ray of the "
    "nodes, is started; else choose a root on a file system that takes larger files"
)
