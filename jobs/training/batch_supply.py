"""Batches under a time limit: a data loader that hangs must not occupy GPUs for ever."""

import threading
import weakref
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue

LIMIT_S = 600.0
"""Seconds for one batch. Ours are in memory and take milliseconds; the first one after a resume
skips all earlier ones."""
_Fetched = tuple[object, BaseException | None]
"""A batch, or the error in its place."""


class WatchedBatches:
    """An iterator that fetches in a thread of its own, one batch per call of `next`.

    Nothing is fetched ahead. The thread of a loader that hangs is left behind: nothing can end it.
    """

    def __init__(
        self, batches: Iterator[object], limit_s: float, silent: Callable[[], Exception]
    ) -> None:
        """Start the thread.

        Args:
            batches: where batches come from.
            limit_s: seconds that one batch may take.
            silent: makes the error that is raised after `limit_s`.
        """
        self.batches = batches
        self._limit_s = limit_s
        self._silent = silent
        self._requests: SimpleQueue[bool] = SimpleQueue()
        self._fetched: SimpleQueue[_Fetched] = SimpleQueue()
        threading.Thread(
            target=_fetch,
            args=(batches, self._requests, self._fetched),
            name="batches",
            daemon=True,
        ).start()
        weakref.finalize(self, self._requests.put, False)

    def __iter__(self) -> Iterator[object]:
        return self

    def __next__(self) -> object:
        self._requests.put(True)
        try:
            batch, fault = self._fetched.get(timeout=self._limit_s)
        except Empty:
            raise self._silent() from None
        if fault is not None:
            raise fault
        return batch


def _fetch(
    batches: Iterator[object], requests: SimpleQueue[bool], fetched: SimpleQueue[_Fetched]
) -> None:
    while requests.get():
        try:
            fetched.put((next(batches), None))
        except BaseException as fault:  # raised again in the thread that wants the batch
            fetched.put((None, fault))
