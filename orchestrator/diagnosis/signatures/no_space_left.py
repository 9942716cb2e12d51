"""A disk has no room or no inodes left."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"^(?!.*(?:/dev/shm|shared memory)).*(?:No space left on device|\bENOSPC\b|errno 28\b)|"
    r"file write failed.*No space|"
    r"OutOfDiskError"
)
FAULT_CLASS = FaultClass.STORAGE_FULL
REMEDY = (
    "make room (`deltascale gc --apply`; `df -h` and `df -i` say where), and the launch goes "
    "on by itself"
)
