"""Executor `local`: runs calls in this process, one after another, without Ray.

Payloads are JSON all the same, so what passes here passes on a cluster. Resources are not
enforced: they only say how many threads a call computes with.
"""

import contextlib
import math
import os
import platform
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import FrameType

from cluster.errors import SurroundingsError, UserError
from cluster.executor import Ending, NodeRoom, Outcome, Surroundings, call_entry
from cluster.fault_classes import FaultClass
from cluster.machine.gpu_variables import gpu_variables
from cluster.machine.left_over_variables import OPTIMIZE
from cluster.machine.resources import Resources, this_machine

_INTERRUPT = signal.SIGRTMIN + 6 if hasattr(signal, "SIGRTMIN") else None
"""Ends a call that hangs. SIGINT would end the launch."""


class Executor:
    """Runs one call at a time in this process, each inside `wait`."""

    def __init__(self) -> None:
        self._queue: deque[tuple[str, str, str]] = deque()
        self._cancelled: set[str] = set()
        self._thread: int | None = None
        self._at_work: str | None = None
        self._changing = threading.Lock()
        """Held while a signal is sent, and while it is decided that none is any more."""
        self._wanted: tuple[str, str] | None = None
        """Which call is to be interrupted, and why."""

    def start(self) -> None:
        """Acquire nothing: the machine is here. Set what libraries read when a job loads them.

        Raises:
            UserError: libraries cannot be imported in this process.
        """
        if sys.flags.optimize > 1:
            raise UserError(
                f"jobs cannot run in this process: it was started with {OPTIMIZE}=2 or `-OO`, "
                "without the docstrings that libraries read as they are imported",
                hint=f"unset {OPTIMIZE}, or set it to 1",
            )
        if this_machine().num_gpus:
            os.environ.update(gpu_variables())

    def capacity(self) -> Resources:
        """Return room for one call at a time, and so for one GPU."""
        machine = this_machine()
        return replace(machine, num_cpus=1, num_gpus=min(1, machine.num_gpus))

    def nodes(self) -> list[Resources]:
        """Return one node that refuses no call."""
        return [Resources(num_cpus=math.inf, num_gpus=math.inf, memory_gb=math.inf)]

    def free(self) -> list[Resources]:
        """Return the same node: resources are not enforced."""
        return self.nodes()

    def rooms(self) -> Sequence[NodeRoom]:
        """Return nothing: there is one machine, and no other to send a call to."""
        return ()

    def most_ranks(self) -> float:
        """Return 1: there is one process."""
        return 1

    def avoid(self, nodes: frozenset[str]) -> None:
        """Do nothing: there is one machine."""

    def submit(
        self,
        ticket: str,
        entry: str,
        payload: str,
        resources: Resources,
        *,
        avoided: frozenset[str] = frozenset(),
    ) -> None:
        """Queue one call."""
        assert not avoided, "there is one machine"
        assert resources.num_ranks == 1, f"one process cannot be {resources.describe()}"
        self._queue.append((ticket, entry, payload))

    def submit_beside(self, ticket: str, node: str, entry: str, payload: str) -> None:
        """Queue one call: nothing runs beside another here."""
        self._queue.append((ticket, entry, payload))

    def interrupt(self, ticket: str, why: str) -> bool:
        """Raise a fault in the call that runs, from another thread; False where that cannot be.

        It comes once the interpreter runs again: never where a library keeps it from that.
        """
        with self._changing:
            if self._thread is None or self._at_work != ticket or _INTERRUPT is None:
                return False
            self._wanted = ticket, why
            signal.pthread_kill(self._thread, _INTERRUPT)
            return True

    def wait(self, timeout_s: float) -> list[Outcome]:
        """Run the oldest queued call to its end, however long; sleep when there is none."""
        if not self._queue:
            time.sleep(timeout_s)
            return []
        ticket, entry, payload = self._queue.popleft()
        if ticket in self._cancelled:
            return [Outcome(ticket=ticket, ending=Ending.CANCELLED, error="cancelled before start")]
        surroundings = Surroundings(
            stop_requested=lambda: ticket in self._cancelled, node=platform.node()
        )
        try:
            with self._interruptible(ticket):
                return [call_entry(ticket, entry, payload, surroundings)]
        except KeyboardInterrupt:
            return [Outcome(ticket=ticket, ending=Ending.CANCELLED, error="interrupted")]

    @contextlib.contextmanager
    def _interruptible(self, ticket: str) -> Iterator[None]:
        """Let `interrupt` end what runs in the block; only the main thread hears signals."""
        if threading.current_thread() is not threading.main_thread() or _INTERRUPT is None:
            yield
            return

        def handle(number: int, frame: FrameType | None) -> None:
            wanted, self._wanted = self._wanted, None
            if wanted is not None and wanted[0] == self._at_work == ticket:
                raise SurroundingsError(wanted[1], fault_class=FaultClass.HUNG)

        before = signal.signal(_INTERRUPT, handle)
        self._thread, self._at_work = threading.get_ident(), ticket
        try:
            yield
        finally:
            self._at_work = None  # from now on the handler raises nothing
            with self._changing:  # one that comes later would end the whole launch
                signal.signal(_INTERRUPT, before)

    def cancel(self, ticket: str, *, within_s: float | None = None) -> None:
        """Keep a queued call from starting; let a running one see `stop_requested`, and save."""
        self._cancelled.add(ticket)

    def expect_again(self, ticket: str) -> None:
        """Do nothing: the process that calls run in stays."""

    def close(self) -> None:
        """Forget what is queued."""
        self._queue.clear()
