"""A GPU that others hold, too: what a process can have of it, and what is said when it fails."""

from types import SimpleNamespace

import pytest
import torch

from cluster.fault_classes import FaultClass
from jobs.worker.gpu_room import room_bytes, taken_by_others
from orchestrator.records.failure import RETRIES, Consequence, decide, result_of_class
from tests.cluster.machine.test_visible_gpus import put_program

GB = 10**9
SMI = """#!/bin/sh
case "$1" in
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
        about = SimpleNamespace(uuid="aa-1", total_memory=80 * GB)
        monkeypatch.setattr(cuda, "get_device_properties", lambda device: about)

    return pretend


def test_room_is_what_is_free_and_what_this_process_has(gpu):
    gpu(free=10, reserved=5)
    assert room_bytes() == 15 * GB


def test_who_holds_a_gpu_is_said_by_name_and_number(gpu):
    gpu(free=10, reserved=7)
    said = taken_by_others()
    assert said == (
        "GPU 0 is not free: 62.0 of its 80.0 GB are held by others: python (pid 4321) 61.2 GB"
    )


def test_what_this_process_and_a_display_hold_is_nobody_elses(gpu):
    gpu(free=3, reserved=74)
    assert taken_by_others() is None


def test_without_a_gpu_nobody_holds_one():
    assert taken_by_others() is None


def test_a_taken_gpu_is_waited_for_and_no_other_layout_tried():
    assert FaultClass.GPU_TAKEN not in RETRIES
    consequence = decide(
        result_of_class(FaultClass.GPU_TAKEN),
        fault_class=FaultClass.GPU_TAKEN,
        is_settled=False,
        num_others=0,
        is_cancelled=False,
        failures={},
    )
    assert consequence is Consequence.WAIT
