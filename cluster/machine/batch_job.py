"""What a batch system says that it gave the job that this process runs in.

Not every one holds its jobs to it by control groups; others run on the same node.
"""

import math
import os

_CORES = {
    "SLURM_JOB_ID": "SLURM_CPUS_ON_NODE",
    "PBS_JOBID": "NCPUS",
    "LSB_JOBID": "LSB_DJOB_NUMPROC",
    "SGE_TASK_ID": "NSLOTS",
}
"""Variable that names a batch job -> the variable with its cores here, or on all of its nodes."""
_MEMORY = {
    "SLURM_MEM_PER_NODE": None,
    "SLURM_MEM_PER_CPU": "SLURM_CPUS_ON_NODE",
    "SLURM_MEM_PER_GPU": "SLURM_GPUS_ON_NODE",
}
"""Variable with memory in MiB -> the variable with how many times it is given here; None: once."""
VARIABLES = frozenset({*_CORES, *_CORES.values(), *_MEMORY, *filter(None, _MEMORY.values())})
"""All that is read."""


def given_cores() -> float:
    """Return the cores of the batch job that this process runs in; infinite where none says it."""
    given = (_number(_CORES[job]) for job in _CORES if job in os.environ)
    return min((cores for cores in given if cores), default=math.inf)


def given_bytes() -> float:
    """Return the memory in bytes of the SLURM job that this process runs in, on this node.

    Infinite where SLURM does not say it, or says 0: all that the node has.
    """
    if "SLURM_JOB_ID" not in os.environ:
        return math.inf
    given = (_number(name) * (_number(times) if times else 1) for name, times in _MEMORY.items())
    return min((size * 2.0**20 for size in given if size), default=math.inf)


def _number(variable: str) -> int:
    """Return the number that a variable of the environment says; 0 where it says none."""
    said = os.environ.get(variable, "")
    return int(said) if said.isdecimal() else 0
