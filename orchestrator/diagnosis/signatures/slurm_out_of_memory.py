"""SLURM saw the kernel kill a process of the batch job for its memory."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"Detected \d+ oom[-_]kill event|Exceeded (?:job|step) memory limit|"
    r"killed by the cgroup out-of-memory handler|"
    r"Some of the step tasks have been OOM Killed|"
    r"State=OUT_OF_MEMORY"
)
FAULT_CLASS = FaultClass.OUT_OF_MEMORY
REMEDY = (
    "raise `memory:` in the profile, which becomes `--mem` of the batch job; `sacct -j JOB "
    "--format=JobID,MaxRSS,ReqMem` says what it took"
)
