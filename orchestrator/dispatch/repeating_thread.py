"""`RepeatingThread`: looks after a job which runs in the process of the launch itself.

The dispatcher cannot: it waits inside that very job. What hangs in Python is interrupted, what is
to be cancelled is told to stop. Where a library keeps the interpreter for itself, nothing in this
process runs, this thread included, and `status` tells of it from outside.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Self

_STOPPED_WITHIN_S = 10.0
"""How long the end of a launch waits for a look that a storage keeps; it is the last one."""


class RepeatingThread:
    """Calls a function every so many seconds, from `require` to the end of its `with` block."""

    def __init__(self, look: Callable[[], None], every_s: float, *, name: str) -> None:
        self._name = name
        self._look = look
        self._every_s = every_s
        self._is_over = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def require(self) -> None:
        """See to it that the thread runs, unless it was stopped."""
        if self._is_over.is_set() or (self._thread is not None and self._thread.is_alive()):
            return
        thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        with suppress(RuntimeError):  # no more threads now: the next round tries again
            thread.start()
            self._thread = thread

    def stop(self, within_s: float = _STOPPED_WITHIN_S) -> bool:
        """Let no look begin any more, and wait for one under way; False where it takes longer."""
        self._is_over.set()
        if self._thread is None:
            return True
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._is_over.wait(self._every_s):
            with suppress(Exception):  # a storage that is away is looked at again
                self._look()
