import math

import pytest

from cluster.driver.ray_session import _memory_of_container
from cluster.machine.batch_job import VARIABLES, given_bytes, given_cores
from cluster.machine.resources import this_machine


@pytest.fixture(autouse=True)
def no_batch_job(monkeypatch):
    """Hide the batch job that tests may run in."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("variables", "cores"),
    [
        ({"SLURM_JOB_ID": "7", "SLURM_CPUS_ON_NODE": "4", "SLURM_CPUS_PER_TASK": "2"}, 4),
        ({"PBS_JOBID": "7.head", "NCPUS": "3"}, 3),
        ({"LSB_JOBID": "7", "LSB_DJOB_NUMPROC": "5"}, 5),
        ({"SGE_TASK_ID": "undefined", "NSLOTS": "6"}, 6),
        ({"NCPUS": "3", "SLURM_JOB_ID": "7", "SLURM_CPUS_ON_NODE": "0"}, math.inf),
    ],
    ids=["slurm", "pbs", "lsf", "grid engine", "none that counts"],
)
def test_a_batch_job_has_the_cores_that_it_was_given(monkeypatch, variables, cores):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert given_cores() == cores


@pytest.mark.parametrize(
    ("variables", "gibibytes"),
    [
        ({"SLURM_MEM_PER_NODE": "4096"}, 4),
        ({"SLURM_MEM_PER_CPU": "2048", "SLURM_CPUS_ON_NODE": "3"}, 6),
        ({"SLURM_MEM_PER_GPU": "8192", "SLURM_GPUS_ON_NODE": "2"}, 16),
        ({"SLURM_MEM_PER_NODE": "0", "SLURM_CPUS_ON_NODE": "3"}, math.inf),
        ({"SLURM_MEM_PER_CPU": "2048"}, math.inf),
    ],
    ids=["node", "cpu", "gpu", "all of the node", "times an unknown number"],
)
def test_a_slurm_job_has_the_memory_that_it_was_given(monkeypatch, variables, gibibytes):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert given_bytes() == math.inf  # left over from a job that has ended
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert given_bytes() == gibibytes * 2**30


def test_jobs_are_offered_no_more_than_the_batch_job_has(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "1")
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "1024")
    offered = this_machine()
    assert (offered.num_cpus, offered.memory_gb) == (1, 1.1)
    assert 0 < _memory_of_container()["_memory"] < 2**30
