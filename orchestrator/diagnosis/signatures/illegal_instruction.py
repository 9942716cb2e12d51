"""A library was built for another processor than the node's."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"\bIllegal instruction\b|"
    r"\bSIGILL\b"
)
FAULT_CLASS = FaultClass.MISTAKE
REMEDY = (
    "install packages built for the oldest processor of the cluster, or leave those nodes out "
    "of the profile"
)
