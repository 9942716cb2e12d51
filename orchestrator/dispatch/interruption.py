"""Ctrl-C and SIGTERM while a launch runs: the first asks for an orderly end, the second insists."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(kw_only=True)
class Interruption:
    """What the signals have said so far."""

    requested: bool = False
    """True after the first signal."""
    may_raise: bool = False
    """True while the launch only waits, so that KeyboardInterrupt may end the waiting."""

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """A block that a first signal ends at once, and silently; later it runs undisturbed."""
        if self.requested:
            yield
            return
        try:
            self.may_raise = True
            yield
        except KeyboardInterrupt:
            pass
        finally:
            self.may_raise = False


def heed() -> None:
    """Hear SIGINT even where a script's `&` had it ignored; processes started after hear it too.

    Ray cancels by it: workers that inherit the deafness are killed instead, without a checkpoint.
    """
    if threading.current_thread() is threading.main_thread() and (
        signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    ):
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextlib.contextmanager
def interruption() -> Iterator[Interruption]:
    """Take the signals over while the block runs (in the main thread; elsewhere nothing changes).

    Call it after Ray has started, which sets a handler of its own.
    """
    heard = Interruption()

    def hear(number: int, frame: FrameType | None) -> None:
        first = not heard.requested
        heard.requested = True
        if heard.may_raise or not first:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield heard
        return
    before = {number: signal.signal(number, hear) for number in _SIGNALS}
    try:
        yield heard
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
