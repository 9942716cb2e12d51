"""Signals that ask a worker to stop: it saves its work and ends, as where its executor asks it.

Whoever sends them (`asking_signals.py`) sends them to every process of a job, as a rule. Their
default is to end a process at once. Ray cancels by SIGINT, and a launch hears the first signal,
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
from cluster.machine.asking_signals import ASKING, REPEATED

_Handler = Callable[[int, FrameType | None], None]


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

    A signal that somebody handles or ignores already is left to him: `nohup`, or the launch itself
    under the executor `local`. Where the launch would end the job by it, the job is asked first.
    """
    if threading.current_thread() is not threading.main_thread():
        yield surroundings
        return
    received = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        received.set()

    def handle_after(others: Callable[[int, FrameType | None], object]) -> _Handler:
        def asked_first(number: int, frame: FrameType | None) -> None:
            try:
                others(number, frame)
            except KeyboardInterrupt:
                if received.is_set():
                    raise  # the second one ends it
                _INTERRUPTS.handle(number, frame)

        return asked_first

    _INTERRUPTS.came = received
    handlers: dict[signal.Signals, _Handler] = {}
    for number in ASKING:
        handler = signal.getsignal(number)
        if handler is signal.default_int_handler:
            handlers[number] = _INTERRUPTS.handle
        elif callable(handler) and not isinstance(handler, signal.Handlers):
            handlers[number] = handle_after(handler)
        elif handler is signal.SIG_DFL and number in REPEATED:
            handlers[number] = handle  # SIGTERM is the executor's: Ray ends its workers by it
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
