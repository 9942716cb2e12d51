"""Kernels are compiled where a job runs, and the compiler or Python's headers are missing."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"Failed to find C compiler|"
    r"Python\.h: No such file or directory|"
    r"gcc: (?:command )?not found|gcc: error: |"
    r"CUDA_HOME environment variable is not set"
)
FAULT_CLASS = FaultClass.MISTAKE
REMEDY = "install `gcc` and the headers of Python (`python3.11-dev`) on the nodes"
