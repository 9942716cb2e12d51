"""`Heartbeat`: calls a function on a thread, again and again, whatever the function raises.

Most locks are let go before their first beat is due, so threads are started shortly before that, by
one thread for all of a process.
"""

import contextlib
import math
import os
import threading
import time
from collections.abc import Callable


class Heartbeat:
    """Calls `beat` every so many seconds until it returns True or the heartbeat is stopped."""

    def __init__(self, beat: Callable[[], bool | None], every_s: float) -> None:
        self._beat = beat
        self._every_s = every_s
        self._due_at = time.monotonic() + every_s
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self.revive()

    def revive(self) -> None:
        """See to it that the beats come, unless there is no more to do: a thread may die unnoticed.

        What is to start it once the first beat is near may have died, too.
        """
        if self._ended.is_set() or (self._thread is not None and self._thread.is_alive()):
            return
        if self._thread is None and time.monotonic() < self.starts_at and _STARTER.add(self):
            return
        self.start()

    def stop(self, within_s: float | None = None) -> None:
        """Let no call of `beat` begin any more, and wait for one that is under way."""
        self._ended.set()
        _STARTER.drop(self)
        if self._thread is not None and self._thread.is_alive():
            self._thread.join(within_s)

    @property
    def starts_at(self) -> float:
        """When its thread is to be there, by the monotonic clock."""
        return self._due_at - self._every_s / 10

    def start(self) -> None:
        """Start the thread."""
        if self._ended.is_set():
            return
        with contextlib.suppress(RuntimeError):  # no more threads now: the next call tries again
            thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
            thread.start()
            self._thread = thread

    def _run(self) -> None:
        wait_s = max(0.0, self._due_at - time.monotonic())
        while not self._ended.wait(wait_s):
            try:
                if self._beat():
                    self._ended.set()
                wait_s = self._every_s
            except Exception:  # whatever it was, there was no beat: try again soon
                wait_s = self._every_s / 6


class _Starter:
    """The thread that starts the threads of heartbeats whose first beat is near."""

    def __init__(self) -> None:
        self._waiting: set[Heartbeat] = set()
        self._changed = threading.Condition()
        self._wakes_at = math.inf
        self._thread: threading.Thread | None = None

    def add(self, heartbeat: Heartbeat) -> bool:
        """Let a heartbeat begin when it is time; False where no thread can be had for that."""
        with self._changed:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="heartbeats", daemon=True)
                try:
                    self._thread.start()
                except RuntimeError:
                    self._thread = None
                    return False
            self._waiting.add(heartbeat)
            if heartbeat.starts_at < self._wakes_at:
                self._changed.notify()
        return True

    def drop(self, heartbeat: Heartbeat) -> None:
        """Forget a heartbeat that has ended."""
        with self._changed:
            self._waiting.discard(heartbeat)

    def _run(self) -> None:
        while True:
            with self._changed:
                now = time.monotonic()
                due = {one for one in self._waiting if one.starts_at <= now}
                self._waiting -= due
                self._wakes_at = min((one.starts_at for one in self._waiting), default=math.inf)
                if not due:
                    pause_s = self._wakes_at - now
                    self._changed.wait(None if math.isinf(pause_s) else pause_s)
            for heartbeat in due:
                heartbeat.start()


_STARTER = _Starter()


def _begin_anew() -> None:
    """Give a fork a starter of its own: its parent's thread is not in it, a lock may be held."""
    global _STARTER
    _STARTER = _Starter()


os.register_at_fork(after_in_child=_begin_anew)
