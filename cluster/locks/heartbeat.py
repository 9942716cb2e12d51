"""`Heartbeat`: calls a function on a thread, again and again, whatever the function raises."""

import contextlib
import threading
from collections.abc import Callable


class Heartbeat:
    """Calls `beat` every so many seconds until it returns True or the heartbeat is stopped."""

    def __init__(self, beat: Callable[[], bool | None], every_s: float) -> None:
        self._beat = beat
        self._every_s = every_s
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self.revive()

    def revive(self) -> None:
        """Start the thread, unless it lives or has no more to do: a thread may die unnoticed."""
        if self._ended.is_set() or (self._thread is not None and self._thread.is_alive()):
            return
        with contextlib.suppress(RuntimeError):  # no more threads now: the next call tries again
            self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
            self._thread.start()

    def stop(self, within_s: float | None = None) -> None:
        """Let no call of `beat` begin any more, and wait for one that is under way."""
        self._ended.set()
        if self._thread is not None and self._thread.is_alive():
            self._thread.join(within_s)

    def _run(self) -> None:
        wait_s = self._every_s
        while not self._ended.wait(wait_s):
            try:
                if self._beat():
                    self._ended.set()
                wait_s = self._every_s
            except Exception:  # whatever it was, there was no beat: try again soon
                wait_s = self._every_s / 6
