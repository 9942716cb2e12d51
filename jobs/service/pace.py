"""`Pace`: no request before its time, whichever thread asks, and none once a stop was asked for."""

import threading
import time
from collections.abc import Callable

from jobs.worker.work import Stopped

_LOOK_EVERY_S = 0.1


class Pace:
    """When the next request to one service may go out."""

    def __init__(self, per_minute: float, stop_requested: Callable[[], bool]) -> None:
        self._gap_s = 60.0 / per_minute
        self._stop_requested = stop_requested
        self._lock = threading.Lock()
        self._next = 0.0

    def take_turn(self) -> None:
        """Block until a request may go out. Raises Stopped when asked to stop meanwhile."""
        while True:
            with self._lock:
                now = time.monotonic()
                wait_s = self._next - now
                if wait_s <= 0:
                    self._next = now + self._gap_s
            self._raise_if_stopped()
            if wait_s <= 0:
                return
            time.sleep(min(wait_s, _LOOK_EVERY_S))

    def hold(self, seconds: float) -> None:
        """Nobody asks for so long: the service said so."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)

    def rest(self, seconds: float) -> None:
        """Only this thread waits. Raises Stopped when asked to stop meanwhile."""
        until = time.monotonic() + seconds
        while (left_s := until - time.monotonic()) > 0:
            self._raise_if_stopped()
            time.sleep(min(left_s, _LOOK_EVERY_S))

    def _raise_if_stopped(self) -> None:
        if self._stop_requested():
            raise Stopped
