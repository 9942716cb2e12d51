"""The thread beside the computation: order, errors, and how much may wait."""

import threading

import pytest
import torch

from cluster.errors import SurroundingsError
from jobs.extraction.writer_thread import WriterThread

CPU = torch.device("cpu")


def fail():
    raise SurroundingsError("the disk is full")


def test_everything_is_done_in_order_before_the_block_ends():
    done = []
    with WriterThread(CPU) as thread:
        for number in range(200):
            thread.submit(lambda number=number: done.append(number))
    assert done == list(range(200))


def require_a_wait(act, go_on):
    """Let another thread act: it ends after `go_on` is set, and not before."""
    ended = threading.Event()

    def act_and_tell():
        act()
        ended.set()

    acting = threading.Thread(target=act_and_tell)
    acting.start()
    assert not ended.wait(0.2)
    go_on.set()
    assert ended.wait(30)
    acting.join()


def test_what_is_begun_and_no_longer_in_the_queue_is_waited_for():
    """Lesson 36: an empty queue is not done."""
    begun, go_on = threading.Event(), threading.Event()

    def work():
        begun.set()
        assert go_on.wait(30)

    with WriterThread(CPU) as thread:
        thread.submit(work)
        assert begun.wait(30)
        require_a_wait(thread.wait, go_on)


def test_an_error_of_the_writer_stops_the_producer_at_its_next_batch():
    """Lesson 33: a swallowed writer error is a missing shard."""
    failed = threading.Event()
    batches = 0
    with pytest.raises(SurroundingsError, match="disk is full"), WriterThread(CPU) as thread:
        thread.submit(fail)
        thread.submit(failed.set)  # not done: what comes after an error is left undone
        while True:
            try:
                thread.wait()
            finally:
                batches += 1
    assert batches == 1
    assert not failed.is_set()


def test_an_error_at_the_very_end_is_raised_too():
    with pytest.raises(SurroundingsError, match="disk is full"), WriterThread(CPU) as thread:
        thread.submit(fail)


def test_what_was_handed_over_is_done_also_when_the_producer_fails():
    done = []
    with pytest.raises(KeyboardInterrupt), WriterThread(CPU) as thread:
        thread.submit(lambda: done.append("a finished unit"))
        raise KeyboardInterrupt
    assert done == ["a finished unit"]


def test_little_memory_waits_however_fast_the_producer_is():
    """Handing over what would exceed the bound blocks until the thread has caught up."""
    go_on = threading.Event()
    with WriterThread(CPU) as thread:
        thread.submit(lambda: go_on.wait(30) and None, 400 * 2**20)
        require_a_wait(lambda: thread.submit(lambda: None, 400 * 2**20), go_on)


def test_a_waiting_producer_is_let_go_when_the_writer_fails():
    with pytest.raises(SurroundingsError), WriterThread(CPU) as thread:
        thread.submit(fail, 500 * 2**20)
        for _ in range(100):
            thread.submit(lambda: None, 500 * 2**20)
