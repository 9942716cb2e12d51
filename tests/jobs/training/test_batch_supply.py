"""Batches that come, that end, that fail, and that never come."""

import threading

import pytest

from jobs.training.batch_supply import WatchedBatches


def watched(batches, limit_s=60.0):
    return WatchedBatches(batches, limit_s, lambda: TimeoutError("silent"))


def test_batches_come_in_order_each_when_it_is_asked_for():
    fetched = []

    def batches():
        for number in range(3):
            fetched.append(number)
            yield number

    supply = watched(batches())
    assert next(supply) == 0 and fetched == [0]
    assert list(supply) == [1, 2]


def test_a_fault_of_the_loader_is_raised_where_the_batch_was_asked_for():
    def batches():
        yield 1
        raise OSError("the disk is gone")

    supply = watched(batches())
    assert next(supply) == 1
    with pytest.raises(OSError, match="the disk is gone"):
        next(supply)


def test_silence_ends_with_the_fault_that_was_given():
    release = threading.Event()

    def batches():
        release.wait()
        yield 1

    with pytest.raises(TimeoutError, match="silent"):
        next(watched(batches(), limit_s=0.05))
    release.set()


def test_the_thread_goes_with_its_batches():
    before = set(threading.enumerate())
    supply = watched(iter([1]))
    (thread,) = set(threading.enumerate()) - before
    del supply
    thread.join(timeout=60)
    assert not thread.is_alive()
