"""Signals that ask a worker to stop: it saves its work and ends, as where its executor asks it.

A scheduler whose time is nearly over sends SIGUSR1 or SIGUSR2 to every process of a job, a machine
that goes down SIGTERM or SIGHUP. Their default is to end a process at once. Ray cancels by SIGINT,
whose default is an exception between any two lines: in the midst of a training step, or of what is
saved. It ends what never asks whether it should stop; to all else it is one more request.
"""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import FrameType

from cluster.executor import Surroundings

_SIGNALS = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""SIGTERM is the executor's: Ray ends its workers by it."""


class _Interrupts:
    """What an interrupt does to the main thread of this process."""

    def __init__(self) -> None:
        self.ends = False
        """Whether it ends what runs."""
        self.came = threading.Event()
        """Set once one came in the call that runs."""

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Take note of an interrupt; let it end what does not ask."""
        self.came.set()
        if self.ends:
            raise KeyboardInterrupt


_INTERRUPTS = _Interrupts()


@contextlib.contextmanager
def ended_by_interrupts() -> Iterator[None]:
    """Let an interrupt end what runs in the block, until that asks by itself whether to stop.

    Raises:
        KeyboardInterrupt: an interrupt came, or had come before the block.
    """
    _INTERRUPTS.ends = True
    try:
        if _INTERRUPTS.came.is_set():
            raise KeyboardInterrupt
        yield
    finally:
        _INTERRUPTS.ends = False


@contextlib.contextmanager
def heeding_signals(surroundings: Surroundings) -> Iterator[Surroundings]:
    """Yield surroundings that also ask to stop once a signal came, while the block runs.

    A signal that somebody handles or ignores already is left to him: the launch itself under the
    executor `local`, `nohup`.
    """
    if threading.current_thread() is not threading.main_thread():
        yield surroundings
        return
    received = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        received.set()

    handlers = {number: handle for number in _SIGNALS if signal.getsignal(number) is signal.SIG_DFL}
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        _INTERRUPTS.came = received
        handlers[signal.SIGINT] = _INTERRUPTS.handle
    before = {number: signal.signal(number, of) for number, of in handlers.items()}
    try:
        yield replace(surroundings, stop_requested=_either(surroundings, received))
    finally:
        for number, of in before.items():
            signal.signal(number, of)


def _either(surroundings: Surroundings, received: threading.Event) -> Callable[[], bool]:
    def stop_requested() -> bool:
        if threading.current_thread() is threading.main_thread():
            _INTERRUPTS.ends = False
        return received.is_set() or surroundings.stop_requested()

    return stop_requested
