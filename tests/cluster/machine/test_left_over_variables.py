import os
import subprocess
import sys

import pytest

from cluster.executor import Ending, Surroundings, call_entry
from cluster.machine import left_over_variables
from cluster.machine.left_over_variables import forget_other_launchers

LEFT_OVER = {
    "WORLD_SIZE": "2",
    "RANK": "1",
    "LOCAL_RANK": "1",
    "MASTER_ADDR": "10.0.0.9",
    "MASTER_PORT": "29500",
    "TORCHELASTIC_RUN_ID": "none",
    "SLURM_PROCID": "3",
    "PMI_SIZE": "4",
    "OMPI_COMM_WORLD_SIZE": "4",
    "ACCELERATE_MIXED_PRECISION": "bf16",
    "ACCELERATE_USE_DEEPSPEED": "true",
    "FSDP_VERSION": "2",
    "NVIDIA_TF32_OVERRIDE": "1",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "1",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "PYTHONOPTIMIZE": "2",
    "PYTHONWARNINGS": "error",
    "OMP_PROC_BIND": "spread",
    "OMP_PLACES": "threads",
    "GOMP_CPU_AFFINITY": "0-63",
    "KMP_AFFINITY": "compact",
}
OURS = ("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID")


def names_seen(payload, surroundings):
    """The entry point of a worker: which of the variables does a job see?"""
    return " ".join(sorted(LEFT_OVER.keys() & os.environ.keys()))


@pytest.fixture
def left_over(monkeypatch):
    for name, value in LEFT_OVER.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("KEPT_BY_ALL", "yes")
    yield
    left_over_variables._is_tf32_forced.cache_clear()  # it holds for a process, which goes on here


def test_one_process_is_one_rank_whatever_is_left_around_it(left_over):
    outcome = call_entry("t", f"{__name__}:names_seen", "{}", Surroundings())
    assert (outcome.ending, outcome.answer) == (Ending.RETURNED, "")
    assert {name: os.environ[name] for name in LEFT_OVER} == LEFT_OVER  # the shell's, afterwards
    assert os.environ["KEPT_BY_ALL"] == "yes"


def test_a_rank_of_ours_keeps_its_place_and_nothing_of_other_launchers(left_over):
    forget_other_launchers()
    assert LEFT_OVER.keys() & os.environ.keys() == set(OURS)
    assert os.environ["KEPT_BY_ALL"] == "yes"


BOUND = """
import os
from cluster.executor import Surroundings, call_entry
before = os.sched_getaffinity(0)
entry = "tests.cluster.machine.test_left_over_variables:cores"
outcome = call_entry("t", entry, "", Surroundings())
print(outcome.answer == str(sorted(before)))
"""


def cores(payload, surroundings):
    """The entry point of a worker: which cores has a process that computes?"""
    import torch

    assert torch.ones(2).sum() == 2
    return str(sorted(os.sched_getaffinity(0)))


@pytest.mark.skipif(len(os.sched_getaffinity(0)) == 1, reason="one core is all there is")
def test_the_threads_of_jobs_are_not_all_bound_to_the_first_core():
    """As the profiles of some clusters have it, for programs that have a node to themselves."""
    environment = {**os.environ, "OMP_PROC_BIND": "true"}
    done = subprocess.run(
        [sys.executable, "-c", BOUND], env=environment, capture_output=True, text=True
    )
    assert done.stdout.strip() == "True", done.stderr
