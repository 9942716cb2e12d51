"""Tensors that are handed over on their device: what arrives, in how many waits, and who waits."""

import functools

import pytest
import torch

from jobs.extraction.writer_thread import WriterThread
from tests.fake_gpu.fake_cuda import fake_gpus

pytestmark = pytest.mark.fake_gpu
MIB = 2**20


def collected(sources, **how):
    """Hand tensors over together; what the writer sees, the waits of both threads."""
    received = []
    with fake_gpus(2) as counts, torch.inference_mode():
        on_device = [source.to("cuda:0") for source in sources]
        before = len(counts.waits())
        with WriterThread(torch.device("cuda")) as thread:
            copies = thread.copies(**how)
            hosts = [copies.add(tensor) for tensor in on_device]
            nbytes = sum(host.nbytes for host in hosts)
            look = functools.partial(lambda hosts: received.extend(h.clone() for h in hosts), hosts)
            thread.submit(look, nbytes, copies)
        waits = len(counts.waits()) - before, len(counts.waits("unit-writer"))
    return received, waits


def test_many_small_tensors_of_any_type_arrive_whole_after_one_wait():
    draw = torch.Generator().manual_seed(4)
    sources = [
        torch.randn(30, 77, generator=draw).bfloat16(),
        torch.randn(50, 30, generator=draw).T,
        torch.randn(11, 11, generator=draw, dtype=torch.float64),
        torch.randn(99, generator=draw) > 0,
        torch.tensor(7.5),
        torch.empty(0, 5),
        *torch.randn(50, 3, generator=draw),
    ]
    received, (producer, writer) = collected(sources)
    assert all(map(torch.equal, received, sources))
    assert [each.dtype for each in received] == [each.dtype for each in sources]
    assert (producer, writer) == (0, 1)


@pytest.mark.parametrize("size", [32 * MIB, 150 * MIB + 3])
@pytest.mark.parametrize("at_once", [False, True])
def test_large_tensors_go_through_the_buffers_in_turn(size, at_once):
    """Also where they are more than the ring holds, and where they leave in parts."""
    numbers = torch.arange(size // 8 + 1).view(torch.uint8)[:size]
    received, (producer, writer) = collected([numbers[:5], numbers, numbers[:7]], at_once=at_once)
    assert all(map(torch.equal, received, [numbers[:5], numbers, numbers[:7]]))
    assert producer == 0
    assert writer <= size // (32 * MIB) + 2


def test_tensors_of_two_devices_share_a_task():
    received = []
    with fake_gpus(2), torch.inference_mode(), WriterThread(torch.device("cuda")) as thread:
        copies = thread.copies()
        hosts = [copies.add(torch.full((3,), float(gpu)).to(f"cuda:{gpu}")) for gpu in (0, 1)]
        thread.submit(lambda: received.extend(h.tolist() for h in hosts), 24, copies)
    assert received == [[0.0] * 3, [1.0] * 3]


def test_what_is_on_the_device_counts_against_the_bound():
    """Rows that leave in parts, and no faster than the writer takes them."""
    sizes = []

    class Watching(WriterThread):
        def wait_for_room(self, nbytes):
            super().wait_for_room(nbytes)
            sizes.append(self._waiting_bytes)

    with fake_gpus(1), torch.inference_mode(), Watching(torch.device("cuda")) as thread:
        copies = thread.copies()
        rows = torch.zeros(128 * MIB, dtype=torch.uint8).to("cuda:0")
        for _ in range(6):
            copies.add(rows)
        thread.submit(lambda: None, 0, copies)
    assert max(sizes) <= 512 * MIB
    assert len(sizes) >= 6
