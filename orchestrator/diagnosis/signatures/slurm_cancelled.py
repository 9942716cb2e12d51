"""Somebody cancelled the batch job, or its step, in SLURM."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"\*\*\* (?:JOB|STEP) \S+ ON \S+ CANCELLED AT \S+ \*\*\*|"
    r"State=CANCELLED\b"
)
FAULT_CLASS = FaultClass.PREEMPTED
REMEDY = "launch again to go on; `sacct -j JOB --format=JobID,State,ExitCode` says who ended it"
