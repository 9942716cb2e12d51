"""Sends notices beside a launch, which waits for none of them but, for a while, at its end.

Each way has a thread and a short queue of its own, so that one that hangs delays no other. A try
that does not return is left behind; what cannot be sent is told once, and the launch goes on.
"""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from cluster.errors import DeltascaleError
from jobs.mirror.outage import within
from orchestrator.notices.chosen_ways import ChosenWay
from orchestrator.notices.way import Notice, NotSent

_TRY_WITHIN_S = 40.0
_TRIES = 4
_MOST_WAITING = 8
"""Notices that wait for one way; a launch makes few, and further ones are dropped."""
_MOST_LEFT_BEHIND = 3
"""Tries that did not return, after which a way is left alone but for the end."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How tries follow each other."""

    try_within_s: float = _TRY_WITHIN_S
    """How long one try may take."""
    first_pause_s: float = 2.0
    """Pause after the first try that failed; it doubles."""
    ends_within_s: float = 30.0
    """How long the end of a launch waits for what is not sent."""


class Sender:
    """Sends notices by several ways at once.

    Args:
        ways: the ways.
        warn: takes what could not be sent, and why.
        pace: how tries follow each other.
    """

    def __init__(
        self, ways: Sequence[ChosenWay], warn: Callable[[str], None], pace: Pace | None = None
    ) -> None:
        self._pace = pace or Pace()
        self._lines = [_Line(way, warn, self._pace) for way in ways]

    def send(self, notice: Notice) -> None:
        """Queue a notice for every way; returns at once."""
        for line in self._lines:
            line.put(notice)

    def close(self) -> bool:
        """Wait a while for what is queued; return whether all of it was sent."""
        until = time.monotonic() + self._pace.ends_within_s
        for line in self._lines:
            line.end()
        return all([line.join(until) for line in self._lines])


class _Line:
    """One way, its thread and its queue."""

    def __init__(self, way: ChosenWay, warn: Callable[[str], None], pace: Pace) -> None:
        self._way, self._warn, self._pace = way, warn, pace
        self._queue: queue.Queue[Notice | None] = queue.Queue(_MOST_WAITING)
        self._is_closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._failed: set[str] = set()
        self._num_failed = self._num_left_behind = 0

    def put(self, notice: Notice) -> None:
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="notices", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # no more threads now: the launch goes on, and the next one tries
                return self._fail("no thread can be started")
            self._thread = thread
        try:
            self._queue.put_nowait(notice)
        except queue.Full:
            self._fail("too many messages wait")

    def end(self) -> None:
        """Let the thread end once its queue is empty, and pause no more than it must."""
        if self._thread is None:
            return
        self._is_closing.set()
        with suppress(RuntimeError):  # no more threads now: what is queued is waited for as long
            threading.Thread(target=self._queue.put, args=(None,), daemon=True).start()

    def join(self, until: float) -> bool:
        if self._thread is None:
            return True
        self._thread.join(max(0.0, until - time.monotonic()))
        if self._thread.is_alive():
            self._fail("it took too long")
        return self._num_failed == 0

    def _run(self) -> None:
        while (notice := self._queue.get()) is not None:
            self._send(notice)

    def _send(self, notice: Notice) -> None:
        pause_s, why = self._pace.first_pause_s, ""
        for attempt in range(_TRIES):
            if attempt:
                # At the end of a launch tries follow each other faster, and still are several.
                self._is_closing.wait(pause_s)
                if self._is_closing.is_set():
                    time.sleep(min(pause_s, 1.0))
                pause_s *= 2
            if self._num_left_behind >= _MOST_LEFT_BEHIND and not self._is_closing.is_set():
                return self._fail(why or "it hangs")
            try:
                return within(self._pace.try_within_s, lambda: self._way.send(notice))
            except NotSent as fault:
                why = str(fault)
                if fault.is_final:
                    break
            except TimeoutError as fault:
                self._num_left_behind += 1
                why = str(fault)
            except DeltascaleError as fault:
                why = fault.error
                break
            except Exception as fault:  # of a way: whatever it is, the launch goes on
                why = type(fault).__name__
                break
        return self._fail(why)

    def _fail(self, why: str) -> None:
        """Tell of a failure, each kind once."""
        self._num_failed += 1
        if why not in self._failed:
            self._failed.add(why)
            self._warn(f"warning: a message by {self._way} was not sent: {why}")
