"""Threads beside a launch in whose process its jobs run: they end with it, however it ends."""

import gc
import threading

import pytest

from orchestrator.dispatch.repeating_thread import RepeatingThread
from orchestrator.dispatch.watcher import Watcher

NAMES = {"hang watch", "cancel listener"}


def names() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


def test_no_thread_of_a_launch_that_raises_is_left_while_its_error_is_kept(launch, make_probe):
    beside: list[set[str]] = []

    class Breaks(Watcher):
        def note_start(self, job, attempt):
            beside.append(names() & NAMES)
            raise RuntimeError("a fault of ours")

    gc.disable()  # an error keeps the objects of its launch, and no collection is to end them
    try:
        with pytest.raises(RuntimeError, match="a fault of ours") as kept:
            launch([make_probe(0)], watcher=Breaks())
        assert kept.value.__traceback__ is not None
        assert beside[0] and not names() & NAMES
    finally:
        gc.enable()


def test_a_look_under_way_is_the_last_and_is_waited_for_within_a_bound():
    is_looking, may_end = threading.Event(), threading.Event()
    looks: list[int] = []

    def look() -> None:
        looks.append(1)
        is_looking.set()
        assert may_end.wait(60)

    thread = RepeatingThread(look, 0.01, name="looks that hang")
    thread.require()
    assert is_looking.wait(60)
    assert not thread.stop(within_s=0.05)
    may_end.set()
    assert thread.stop(within_s=60)
    thread.require()
    assert looks == [1] and "looks that hang" not in names()


def test_a_look_that_raises_is_followed_by_the_next():
    is_second, looks = threading.Event(), list[int]()

    def look() -> None:
        looks.append(1)
        if len(looks) > 1:
            is_second.set()
        raise OSError("the storage is away")

    with RepeatingThread(look, 0.01, name="looks that fail") as thread:
        thread.require()
        assert is_second.wait(60)
    assert "looks that fail" not in names()
