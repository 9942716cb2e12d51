"""Contract: an `Executor` runs an entry point on given `Resources` and reports an `Outcome`.

An executor is handed a ticket, an entry-point string (`package.module:function`) and a JSON
payload, never an object of ours, so what passes on a laptop passes on a cluster. The function is
called as `entry(payload, surroundings)` and returns a JSON string. Entries live in `executors/`,
one per file, each with a class `Executor`; the file's name is the name on the command line.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from cluster.resources import Resources


class Ending(Enum):
    """How one submission ended, as far as the machine can tell."""

    RETURNED = "returned"
    """The entry point returned; its answer is in `Outcome.answer`."""
    RAISED = "raised"
    """The entry point raised; the message is in `Outcome.error`."""
    LOST = "lost"
    """The process or node died under it; nothing is known but `Outcome.error`."""
    OUT_OF_MEMORY = "out of memory"
    """It was killed because its node had no host memory left, as far as the cluster can tell."""
    NO_ROOM = "no room"
    """It did not begin: no place for it got free in time, though the machines could hold it."""
    CANCELLED = "cancelled"
    """It was asked to stop and did, or was stopped."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one submission."""

    ticket: str
    """The name given at submission."""
    ending: Ending
    """How it ended."""
    answer: str | None = None
    """What the entry point returned (JSON), when it returned."""
    error: str | None = None
    """One message, when it did not return."""
    node: str | None = None
    """Where it ran, when known."""


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a running entry point may ask of the place it runs in."""

    stop_requested: Callable[[], bool] = lambda: False
    """True once it should save what it has and return."""
    node: str = "localhost"
    """The name of the machine."""
    rank: int = 0
    """Number of this process among those that were started together for the call, from 0."""
    num_ranks: int = 1
    """How many they are; above 1, torch's process group stands when the entry point is called."""
    local_rank: int = 0
    """Its number among those on this machine."""


class Executor(Protocol):
    """Runs entry points. `start` before the first `submit`, `close` after the last `wait`."""

    def start(self) -> None:
        """Acquire the machines. Raises SurroundingsError when they cannot be had."""

    def capacity(self) -> Resources:
        """All that may be in use at once."""

    def nodes(self) -> list[Resources]:
        """What each node offers; a call must fit on one of them or it would wait for ever."""

    def free(self) -> list[Resources]:
        """What each node has left just now, as far as it is known; it may be a moment old."""

    def most_ranks(self) -> float:
        """Ranks that a call may have at most, however large the nodes are."""

    def submit(self, ticket: str, entry: str, payload: str, resources: Resources) -> None:
        """Queue one call; returns at once. Tickets are unique."""

    def wait(self, timeout_s: float) -> list[Outcome]:
        """Block until something ended or the time is up; return what ended."""

    def cancel(self, ticket: str) -> None:
        """Ask one submission to stop; its Outcome still comes through `wait`."""

    def close(self) -> None:
        """Stop everything and give the machines back."""


def load_entry(entry: str) -> Callable[[str, Surroundings], str]:
    """The function that `package.module:function` names."""
    module, _, function = entry.partition(":")
    loaded: Callable[[str, Surroundings], str] = getattr(importlib.import_module(module), function)
    return loaded
