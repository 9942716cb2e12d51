"""A file of a network file system was replaced or its server restarted."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"Stale (?:NFS )?file handle|"
    r"\bESTALE\b"
)
FAULT_CLASS = FaultClass.STORAGE_AWAY
REMEDY = "the job is tried again by itself; if it stays, mount the file system anew on that node"
