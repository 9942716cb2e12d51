"""Batches under a time limit: a data loader that hangs must not hold its GPUs for ever."""

import threading
import weakref
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from typing import Any

LIMIT_S = 600.0
"""For one batch. Ours lie in memory and take milliseconds; the first after a resume skips all
that came before it."""


class WatchedBatches:
    """An iterator that fetches in a thread of its own, one batch whenever one is asked for.

    Nothing is fetched ahead. The thread of a loader that hangs is left behind: nothing can end it.
    """

    def __init__(
        self, batches: Iterator[Any], limit_s: float, silent: Callable[[], Exception]
    ) -> None:
        """`silent` makes what is raised when `limit_s` have passed."""
        self.batches = batches
        self._limit_s = limit_s
        self._silent = silent
        self._asked: SimpleQueue[bool] = SimpleQueue()
        self._given: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
        threading.Thread(
            target=_fetch, args=(batches, self._asked, self._given), name="batches", daemon=True
        ).start()
        weakref.finalize(self, self._asked.put, False)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        self._asked.put(True)
        try:
            batch, fault = self._given.get(timeout=self._limit_s)
        except Empty:
            raise self._silent() from None
        if fault is not None:
            raise fault
        return batch


def _fetch(
    batches: Iterator[Any],
    asked: "SimpleQueue[bool]",
    given: "SimpleQueue[tuple[Any, BaseException | None]]",
) -> None:
    while asked.get():
        try:
            given.put((next(batches), None))
        except BaseException as fault:  # raised again where the batch was asked for
            given.put((None, fault))
