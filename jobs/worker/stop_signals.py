"""Signals that ask a worker to stop: it saves its work and ends, as where its executor asks it.

A scheduler whose time is nearly over sends SIGUSR1 or SIGUSR2 to every process of a job, a machine
that goes down SIGTERM or SIGHUP. Their default is to end a process at once.
"""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import FrameType

from cluster.executor import Surroundings

_SIGNALS = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""SIGTERM and SIGINT are the executor's: Ray ends and interrupts its workers by them."""


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

    ours = [number for number in _SIGNALS if signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, handle)
    try:
        yield replace(surroundings, stop_requested=_either(surroundings, received))
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def _either(surroundings: Surroundings, received: threading.Event) -> Callable[[], bool]:
    return lambda: received.is_set() or surroundings.stop_requested()
