"""SLURM took the node back for a job of higher priority."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"DUE TO PREEMPTION|"
    r"State=PREEMPTED\b|"
    r"was preempted in favor of"
)
FAULT_CLASS = FaultClass.PREEMPTED
REMEDY = (
    "it goes on from the last checkpoint by itself; another `partition:` or `qos:` is "
    "preempted less"
)
