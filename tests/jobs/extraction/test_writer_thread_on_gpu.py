"""Copies off a GPU while it computes on: every byte is the one that was there when it was asked."""

import functools
import threading

import pytest
import torch

from jobs.extraction.writer_thread import WriterThread

pytestmark = pytest.mark.gpu

NUM_TENSORS = 200
# Nothing at all, below, at and above a buffer of the ring, and no multiple of it.
SIZES = (0, 1, 1000, 8 * 2**20, 8 * 2**20 + 3, 24 * 2**20 + 7)


def test_what_arrives_is_what_stood_there_though_its_memory_is_taken_again_at_once():
    """Lesson 32: non_blocking to host memory is a race without an event.

    The device is kept busy, so that the host is far ahead of it; what was handed over is let go,
    and the allocator gives the same memory to the next tensor, which overwrites it.
    """
    received = []

    def look(number, host):
        received.append((len(host), bool((host == number).all())))

    with torch.inference_mode(), WriterThread(torch.device("cuda")) as thread:
        busy = torch.randn(2048, 2048, device="cuda")
        for number in range(NUM_TENSORS):
            busy = (busy @ busy).sigmoid()
            size = SIZES[number % len(SIZES)]
            rows = torch.full((size,), float(number), device="cuda")
            copies = thread.copies()
            host = copies.add(rows)
            del rows
            torch.full((size,), -1.0, device="cuda")
            task = functools.partial(look, number, host)
            thread.submit(task, host.nbytes, copies)
            del copies
            torch.full((size,), -2.0, device="cuda")
    assert received == [(SIZES[number % len(SIZES)], True) for number in range(NUM_TENSORS)]


def test_copies_of_other_types_and_shapes_come_whole():
    received = {}
    with torch.inference_mode(), WriterThread(torch.device("cuda")) as thread:
        sources = {
            "bfloat16": torch.randn(3000, 777, device="cuda").bfloat16(),
            "transposed": torch.randn(500, 300, device="cuda").T,
            "float64": torch.randn(1111, 1111, device="cuda", dtype=torch.float64),
            "flags": torch.randn(99, device="cuda") > 0,
            "number": torch.tensor(7.5, device="cuda"),
        }
        for name, source in sources.items():
            copies = thread.copies()
            host = copies.add(source)
            task = functools.partial(lambda name, host: received.update({name: host}), name, host)
            thread.submit(task, host.nbytes, copies)
        thread.wait()
        for name, source in sources.items():
            assert torch.equal(received[name], source.cpu()), name
            assert received[name].dtype == source.dtype


def test_a_failed_writer_frees_a_producer_that_waits_for_room():
    failed = threading.Event()

    def fail():
        failed.set()
        raise OSError("the disk is gone")

    with (
        pytest.raises(OSError, match="the disk is gone"),
        torch.inference_mode(),
        WriterThread(torch.device("cuda")) as thread,
    ):
        rows = torch.zeros(64 * 2**20, device="cuda")
        thread.submit(fail)
        assert failed.wait(60)
        for _ in range(1000):
            thread.copies().add(rows)
            thread.raise_error()
