"""Executor `local`: runs calls in this process, one after another, without Ray.

Payloads are JSON all the same, so what passes here passes on a cluster. Resources are not
enforced: they only say how many threads a call computes with.
"""

import math
import os
import platform
import time
from collections import deque
from dataclasses import replace

from cluster.executor import Ending, Outcome, Surroundings, call_entry
from cluster.machine.gpu_variables import gpu_variables
from cluster.machine.resources import Resources, this_machine


class Executor:
    """Runs one call at a time in this process, each inside `wait`."""

    def __init__(self) -> None:
        self._queue: deque[tuple[str, str, str]] = deque()
        self._cancelled: set[str] = set()

    def start(self) -> None:
        """Acquire nothing: the machine is here. Set what libraries read when a job loads them."""
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

    def most_ranks(self) -> float:
        """Return 1: there is one process."""
        return 1

    def avoid(self, nodes: frozenset[str]) -> None:
        """Do nothing: there is one machine."""

    def submit(self, ticket: str, entry: str, payload: str, resources: Resources) -> None:
        """Queue one call."""
        assert resources.num_ranks == 1, f"one process cannot be {resources.describe()}"
        self._queue.append((ticket, entry, payload))

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
            return [call_entry(ticket, entry, payload, surroundings)]
        except KeyboardInterrupt:
            return [Outcome(ticket=ticket, ending=Ending.CANCELLED, error="interrupted")]

    def cancel(self, ticket: str) -> None:
        """Keep a queued call from starting; let a running one see `stop_requested`."""
        self._cancelled.add(ticket)

    def close(self) -> None:
        """Forget what is queued."""
        self._queue.clear()
