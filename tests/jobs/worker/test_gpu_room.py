"""A GPU that others hold, too: what a process can have of it, and what is said when it fails."""

from types import SimpleNamespace

import pytest
import torch

from cluster.errors import SurroundingsError
from cluster.fault_classes import FaultClass
from jobs.models.device import pick_device
from jobs.worker.gpu_room import held_to_part, room_bytes, taken_by_others
from orchestrator.records.failure import RETRIES, Consequence, consequence_of, result_of_class
from tests.cluster.machine.test_visible_gpus import put_program

GB = 10**9
SMI = """#!/bin/sh
case "$1" in
  --list-gpus) echo "GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-aa-1)"
               echo "GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-bb-2)";;
  --query-gpu=memory*) echo "81920, Disabled"; echo "81920, Disabled";;
  --query-gpu=index*) echo "0, GPU-aa-1, 81920, 12"; echo "1, GPU-bb-2, 81920, 81900";;
  --query-compute-apps*) echo "GPU-aa-1, 4321, /usr/bin/python, 58368"
                         echo "GPU-bb-2, 99, other, 10";;
esac
"""


@pytest.fixture
def gpu(monkeypatch, tmp_path):
    """Pretend a GPU of 80 GB with `free` bytes, of which this process has reserved some."""
    put_program(tmp_path, monkeypatch, SMI, None)

    def pretend(free, reserved):
        cuda = torch.cuda
        monkeypatch.setattr(cuda, "is_available", lambda: True)
        monkeypatch.setattr(cuda, "device_count", lambda: 1)
        monkeypatch.setattr(cuda, "current_device", lambda: 0)
        monkeypatch.setattr(cuda, "mem_get_info", lambda device=None: (free * GB, 80 * GB))
        monkeypatch.setattr(cuda, "memory_reserved", lambda device=None: reserved * GB)
        monkeypatch.setattr(cuda, "memory_allocated", lambda device=None: reserved * GB)
        about = SimpleNamespace(uuid="aa-1", total_memory=80 * GB)
        monkeypatch.setattr(cuda, "get_device_properties", lambda device: about)

    return pretend


def test_room_is_what_is_free_and_what_this_process_has(gpu):
    gpu(free=10, reserved=5)
    assert room_bytes() == 15 * GB


def test_a_part_of_a_gpu_is_held_for_one_job(gpu, monkeypatch):
    shares = []
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", shares.append)
    gpu(free=80, reserved=0)
    with held_to_part(0.25):
        assert shares == [pytest.approx(0.25 - 1 / 80)]
    assert shares[1:] == [1.0]


def test_a_job_that_was_given_part_of_a_gpu_that_torch_does_not_see_says_so_itself():
    with pytest.raises(SurroundingsError, match="torch sees none"), held_to_part(0.5):
        pick_device(0.5)


def test_who_holds_a_gpu_is_said_by_name_and_number(gpu):
    gpu(free=10, reserved=7)
    said = taken_by_others().described
    assert said == (
        "GPU 0 is not free: 62.0 of its 80.0 GB are held by others: python (pid 4321) 61.2 GB"
    )


def test_what_this_process_and_a_display_hold_is_nobody_elses(gpu):
    gpu(free=3, reserved=74)
    assert taken_by_others() is None


def test_without_a_gpu_nobody_holds_one():
    assert taken_by_others() is None


def test_of_a_gpu_that_nobody_can_name_no_holder_is_named(gpu, monkeypatch):
    gpu(free=10, reserved=7)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace())
    assert taken_by_others().described.endswith("by others (nvidia-smi names nobody here)")


@pytest.mark.parametrize(
    ("needed_gb", "asked", "waits"),
    [
        (70, "", True),
        (90, "", False),
        (0, "Tried to allocate 20.00 GiB. GPU 0 has", True),
        (0, "tried to allocate 75.00 GiB. GPU 0 has", False),
        (90, "Tried to allocate 20.00 MiB. GPU 0 has", False),
        (0, "CUDA driver error: out of memory", True),
    ],
)
def test_a_gpu_is_waited_for_only_by_what_fits_it_empty(gpu, needed_gb, asked, waits):
    """A browser on the screen holds 5 GB of 80 for as long as anybody sits there."""
    gpu(free=67, reserved=7)
    assert taken_by_others().is_in_the_way(needed_gb * GB, asked) is waits


def test_a_taken_gpu_is_waited_for_and_no_other_layout_tried():
    assert FaultClass.GPU_TAKEN not in RETRIES
    consequence = consequence_of(
        result_of_class(FaultClass.GPU_TAKEN),
        fault_class=FaultClass.GPU_TAKEN,
        is_settled=False,
        num_others=0,
        is_cancelled=False,
        failures={},
    )
    assert consequence is Consequence.WAIT
