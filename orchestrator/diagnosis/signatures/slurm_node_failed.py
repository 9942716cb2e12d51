"""SLURM lost a node of the batch job."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"DUE TO NODE FAILURE|"
    r"State=NODE_FAIL\b|"
    r"\bNODE_FAIL\b|"
    r"srun: error: Node failure on"
)
FAULT_CLASS = FaultClass.LOST_NODE
REMEDY = "it is tried again by itself on other nodes; `sinfo -R` says why a node is down"
