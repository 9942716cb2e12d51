"""Parts that need no trainer, on pretended GPUs: what only runs where there is one runs here."""

from dataclasses import replace

import pytest
import torch

from benchmarks.gpu.machine import describe, look
from benchmarks.gpu.part import PARTS
from tests.fake_gpu.fake_cuda import fake_gpus

pytestmark = pytest.mark.fake_gpu
SLOW = ("parity", "extraction")


@pytest.fixture
def machine(monkeypatch):
    """Two pretended GPUs with little memory, on which shapes are those of a rehearsal."""
    for name in ("max_memory_allocated", "memory_allocated"):
        monkeypatch.setattr(torch.cuda, name, lambda: 0)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: None)
    monkeypatch.setattr(torch._C, "_cuda_clearCublasWorkspaces", lambda: None, raising=False)
    with fake_gpus(2, free_bytes=5e9):
        yield replace(look(rehearses=False), rehearses=True)


def test_a_gpu_is_looked_at_and_described(machine) -> None:
    assert (machine.device, machine.num_gpus, machine.free_gb) == ("cuda", 2, 5.0)
    assert describe(machine)["gpu"] == "a pretended GPU"
    alone = replace(machine, rehearses=False, num_gpus=1)
    assert "needs 6 GB of the GPU, 5.0 of" in PARTS.find("peaks").why_not(alone)
    assert PARTS.find("two-devices").why_not(alone) == "needs 2 GPUs, this machine has 1"


@pytest.mark.parametrize(
    "name",
    ["peaks", "moments", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)],
)
def test_a_part_runs_on_it_and_what_is_no_matter_of_speed_holds(machine, name) -> None:
    rows = list(PARTS.find(name).rows(machine))
    assert rows
    assert name == "extraction" or not [row for row in rows if row.holds is False]


def test_memory_that_does_not_run_out_is_no_recovery(machine) -> None:
    first, *_ = PARTS.find("out-of-memory")._extraction(machine)
    assert first.holds is False and first.note == "memory did not run out"


def test_what_cublas_keeps_to_work_in_is_no_tensor_that_stays(machine, monkeypatch) -> None:
    kept = [32 << 20]
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda: 7 + sum(kept))
    monkeypatch.setattr(torch._C, "_cuda_clearCublasWorkspaces", kept.clear)
    assert machine.allocated_bytes() == 7
