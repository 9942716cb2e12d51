"""A library lies on a disk from which nothing may be run (mounted `noexec`)."""

from cluster.fault_classes import FaultClass

PATTERN = r"failed to map segment from shared object: Operation not permitted"
FAULT_CLASS = FaultClass.MISTAKE
REMEDY = (
    "that disk is mounted `noexec` on the node (`findmnt -T FILE`): install the packages on "
    "another; where it is the temp folder that kernels are compiled into, set TMPDIR"
)
