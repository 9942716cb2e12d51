"""Ray lost a node."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"NodeDiedError|"
    r"node .*(?:was|has been) marked dead|"
    r"The node with node id: .* (?:died|has been marked)"
)
FAULT_CLASS = FaultClass.LOST_NODE
REMEDY = "it is tried again by itself; `ray status` and `sinfo -R` say what became of the node"
