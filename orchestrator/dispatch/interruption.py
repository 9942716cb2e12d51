"""Ctrl-C and other signals while a launch runs: one asks for an orderly end, two Ctrl-C end it."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType

from cluster.machine.asking_signals import ANNOUNCING, ASKING, REPEATED


@dataclass(kw_only=True)
class Interruption:
    """The signals that this process has received so far."""

    requested: bool = False
    """True after the first signal."""
    number: int | None = None
    """The first signal; None before it."""
    may_raise: bool = False
    """True while the launch only waits, so that KeyboardInterrupt may end the wait."""

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """End the block silently at a first signal; after it, run the block to its end."""
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

    @property
    def is_of_scheduler(self) -> bool:
        """Tell whether whoever owns the machine sent it, and no person."""
        return self.number in (*ANNOUNCING, signal.SIGTERM)

    @property
    def is_announced(self) -> bool:
        """Tell whether it came a while before the end, as schedulers send some."""
        return self.number in ANNOUNCING


def restore_sigint() -> None:
    """Handle SIGINT even where a script's `&` had it ignored, here and in processes started later.

    Ray cancels by SIGINT: workers that inherit the ignoring are killed instead, with no checkpoint.
    """
    if threading.current_thread() is threading.main_thread() and (
        signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    ):
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextlib.contextmanager
def handle_signals(*, may_raise: bool = False) -> Iterator[Interruption]:
    """Handle the signals while the block runs, when called on the main thread.

    Blocks may lie in each other: the innermost one hears. Call this after Ray has started, which
    sets a handler of its own.

    Args:
        may_raise: whether a first signal, whichever, ends the block as Ctrl-C does; else it is
            only noted, but while the block is `waiting`.
    """
    received = Interruption(may_raise=may_raise)

    def handle(number: int, frame: FrameType | None) -> None:
        is_first = not received.requested
        received.requested = True
        received.number = received.number or number
        if received.may_raise if is_first else number not in REPEATED:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    # `nohup` has SIGHUP ignored, and means it.
    heard = [number for number in ASKING if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handle) for number in heard}
    try:
        yield received
    finally:
        for number, handler in before.items():
            # What the launch has left to write is not cut off by a shell's own SIGHUP.
            is_deaf = received.requested and number in REPEATED
            if signal.getsignal(number) is not _ignore:  # so left by a block within this one
                signal.signal(number, _ignore if is_deaf else handler)


def _ignore(number: int, frame: FrameType | None) -> None:
    """Do nothing; unlike `SIG_IGN`, processes that are started later do not inherit this."""
