"""Memory on GPUs in heartbeats: by torch's own counter, asked by the thread that works."""

import sys
import threading
import types

import pytest

from jobs.liveness.heartbeat import Phase
from jobs.liveness.held_gpus import HeldGpus, held_gpus
from jobs.liveness.pulse import Pulse


def a_torch(*sizes, name="NVIDIA H100", is_initialized=True):
    def properties(gpu):
        return types.SimpleNamespace(uuid=f"uuid-{gpu}", name=name)

    cuda = types.SimpleNamespace(
        is_initialized=lambda: is_initialized,
        device_count=lambda: len(sizes),
        memory_reserved=lambda gpu: sizes[gpu],
        get_device_properties=properties,
    )
    return types.SimpleNamespace(cuda=cuda)


def test_gpus_that_hold_something_are_summed(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", a_torch(2 * 10**9, 0, 3 * 10**9))
    held = held_gpus()
    assert held.memory_gb == 5.0 and held.uuids == {"GPU-uuid-0", "GPU-uuid-2"}


def test_a_part_of_a_gpu_has_memory_and_no_use(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", a_torch(10**9, name="NVIDIA A100 MIG 1g.5gb"))
    assert (held_gpus().memory_gb, held_gpus().uuids) == (1.0, frozenset())


@pytest.mark.parametrize("torch", [None, a_torch(10**9, is_initialized=False)])
def test_torch_is_neither_loaded_nor_started_for_it(monkeypatch, torch):
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert held_gpus() == HeldGpus() and HeldGpus().memory_gb is None


def test_only_the_thread_that_works_asks_and_seldom(monkeypatch):
    askers = []
    monkeypatch.setattr(
        "jobs.liveness.pulse.held_gpus",
        lambda: askers.append(threading.get_ident()) or HeldGpus(bytes_of={"GPU-a": 10**9}),
    )
    pulse = Pulse(has_gpus=True)
    other = threading.Thread(target=lambda: (pulse.enter(Phase.LOADING), pulse.read(0)))
    other.start()
    other.join()
    assert askers == []
    for step in range(1, 50):
        pulse.note_step(step, 50)
    assert askers == [threading.get_ident()] and pulse.read(1).gpu_memory_gb == 1.0


def test_a_job_without_gpus_asks_nothing(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", a_torch(10**9))
    pulse = Pulse()
    pulse.note_step(1, 2)
    assert pulse.read(0).gpu_memory_gb is None


def test_a_gpu_out_of_order_fails_no_job(monkeypatch):
    torch = a_torch(10**9)
    torch.cuda.memory_reserved = lambda gpu: 1 / 0
    monkeypatch.setitem(sys.modules, "torch", torch)
    pulse = Pulse(has_gpus=True)
    pulse.note_step(1, 2)
    assert (pulse.step, pulse.read(0).gpu_memory_gb) == (1, None)
