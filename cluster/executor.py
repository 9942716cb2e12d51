"""Contract: an `Executor` runs an entry point on given `Resources` and reports an `Outcome`.

An executor is handed a ticket, an entry point (`package.module:function`) and a JSON payload,
never an object of this code, so that what works on a laptop works on a cluster. The function is
called as `entry(payload, surroundings)` and returns a JSON string. Executors live in `executors/`,
one per file, each with a class `Executor`; the file's name is the name on the command line.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Protocol

from cluster.errors import DeltascaleError, unknown_name
from cluster.fault_classes import FaultClass, class_of_os_error
from cluster.machine.left_over_variables import one_process
from cluster.machine.resources import Resources
from cluster.machine.working_folder import stand_in_a_folder


class Ending(Enum):
    """How one call ended, as far as the machine can tell."""

    RETURNED = "returned"
    """The entry point returned; its answer is in `Outcome.answer`."""
    RAISED = "raised"
    """The entry point raised; the message is in `Outcome.error`."""
    LOST = "lost"
    """The process or node died; what is known is in `Outcome.error` and `Outcome.fault_class`."""
    OUT_OF_MEMORY = "out of memory"
    """The call was killed because its node had no host memory left, and it held too much of it."""
    NO_ROOM = "no room"
    """The call did not begin: no place got free in time, though the machines could hold it."""
    CANCELLED = "cancelled"
    """The call was asked to stop and did, or was stopped."""


@dataclass(frozen=True, kw_only=True)
class RankEnding:
    """How one of several processes of a call ended."""

    rank: int
    """Its number, from 0."""
    node: str | None = None
    """The node that it ran on."""
    pid: int | None = None
    """Its number there."""
    place: int | None = None
    """Its place among those that reported, the first 0; None where it did not."""
    answer: str | None = None
    """What it returned."""
    error: str | None = None
    """What it raised, or what is known of its death."""
    is_dead: bool = False
    """Whether it died without a report; where it is not and has no place, it was ended."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How one call ended, and what it returned."""

    ticket: str
    """The name given to the call at submission."""
    ending: Ending
    """How the call ended."""
    answer: str | None = None
    """What the entry point returned (JSON); None when it did not return."""
    error: str | None = None
    """What went wrong; None when the entry point returned."""
    node: str | None = None
    """The node that the call ran on, when known."""
    fault_class: FaultClass | None = None
    """Whose fault it is that the call did not return, as far as the executor knows."""
    node_id: str | None = None
    """The cluster's own name of that node, where it is one and known: several may share an
    address."""
    ranks: Sequence[RankEnding] = ()
    """How each of several processes ended, by rank; empty for a call of one."""


@dataclass(frozen=True, kw_only=True)
class NodeRoom:
    """One living node of an executor."""

    name: str
    """The cluster's own name of it, as `Outcome.node_id` has it."""
    address: str
    """Its address, as `Outcome.node` has it."""
    offers: Resources
    """All that calls may use of it."""
    free: Resources
    """What is left of that, as known a moment ago."""
    host: str = "localhost"
    """The name of its machine."""
    is_here: bool = False
    """Whether it is on the machine of this process."""


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """The place that an entry point runs in, as it may ask about it."""

    stop_requested: Callable[[], bool] = lambda: False
    """Returns True once the entry point should save its work and return."""
    node: str = "localhost"
    """The name of the machine."""
    rank: int = 0
    """Number of this process among those started together for the call, from 0."""
    num_ranks: int = 1
    """Number of processes started together; above 1, torch's process group is set up already."""
    local_rank: int = 0
    """Number of this process among those on this machine, from 0."""
    is_own_process: bool = False
    """True where the process does nothing but calls: its descriptors are theirs while they run."""


class Executor(Protocol):
    """Runs entry points. Call `start` before the first `submit`, `close` after the last `wait`.

    Any method raises SurroundingsError with `FaultClass.CLUSTER` when the machines themselves have
    gone. Then `start` may be called again, until it returns; the calls that ran before come
    through `wait` as LOST with that class, each once.
    """

    def start(self) -> None:
        """Acquire the machines. Raises SurroundingsError when they cannot be had."""

    def capacity(self) -> Resources:
        """Return all that may be in use at once."""

    def nodes(self) -> list[Resources]:
        """Return what each node offers; a call that fits on none of them would wait for ever."""

    def free(self) -> list[Resources]:
        """Return what each node has left, as known a moment ago.

        A node whose memory others hold, so that calls were killed there, has nothing left; nor has
        one that is avoided.
        """

    def rooms(self) -> Sequence[NodeRoom]:
        """Return the living nodes by name; empty where calls cannot be kept off any of them."""

    def most_ranks(self) -> float:
        """Return how many ranks a call may have at most, however large the nodes are."""

    def avoid(self, nodes: frozenset[str]) -> None:
        """Send calls to other nodes than these, named as outcomes name them, until said anew."""

    def submit(
        self,
        ticket: str,
        entry: str,
        payload: str,
        resources: Resources,
        *,
        avoided: frozenset[str] = frozenset(),
    ) -> None:
        """Queue one call; returns at once. Tickets are unique.

        Args:
            ticket: its name.
            entry: the entry point.
            payload: what it is given.
            resources: what it needs.
            avoided: names or addresses of nodes that it is not sent to; none where `rooms` is
                empty.
        """

    def submit_beside(self, ticket: str, node: str, entry: str, payload: str) -> None:
        """Queue one small call on a node, named as outcomes name it, on no resources of others.

        It is for looking after calls that run there; its Outcome comes through `wait`. Not where
        calls run in the process of the launch: it may look after them itself.
        """

    def wait(self, timeout_s: float) -> list[Outcome]:
        """Block until a call ended or the time is up; return the calls that ended."""

    def cancel(self, ticket: str, *, within_s: float | None = None) -> None:
        """Ask one call to stop; its Outcome still comes through `wait`.

        Args:
            ticket: of the call.
            within_s: how long it may save its work where that is longer than the executor gives.
        """

    def expect_again(self, ticket: str) -> None:
        """Prepare for the next try of one call, which may have to be ended soon.

        A hint: what is prepared takes nothing of what calls need, and goes if nobody needs it.
        """

    def close(self) -> None:
        """Stop all calls and give the machines back."""


def executor_class(name: str) -> Callable[..., Executor]:
    """Return the class `Executor` of the file of this name in `executors/`.

    Raises:
        UserError: there is no such file.
        TypeError: the file lacks something that an `Executor` has; the message names it.
    """
    folder = Path(__file__).parent / "executors"
    names = sorted(file.stem for file in folder.glob("[a-z]*.py"))
    if name not in names:
        raise unknown_name("executor", name, names, where="--executor")
    module = import_module(f"cluster.executors.{name}")
    chosen: Callable[..., Executor] | None = getattr(module, "Executor", None)
    missing = [part for part in vars(Executor) if part[0] != "_" and not hasattr(chosen, part)]
    if chosen is None or missing:
        entry = f"class Executor of cluster/executors/{name}.py"
        raise TypeError(f"{entry} lacks {', '.join(missing)}: see cluster/executor.py")
    return chosen


def call_entry(ticket: str, entry: str, payload: str, surroundings: Surroundings) -> Outcome:
    """Call the function that `package.module:function` names, as the only rank there is.

    Whatever it raises is its outcome.
    """
    stand_in_a_folder()
    try:
        with one_process():
            answer = load_entry(entry)(payload, surroundings)
    except Exception as fault:
        return Outcome(
            ticket=ticket,
            ending=Ending.RAISED,
            error=f"{type(fault).__name__}: {fault}",
            node=surroundings.node,
            fault_class=_class_of(fault),
        )
    return Outcome(ticket=ticket, ending=Ending.RETURNED, answer=answer, node=surroundings.node)


def _class_of(fault: Exception) -> FaultClass | None:
    """Return whose fault an exception is, where it says so."""
    if isinstance(fault, DeltascaleError):
        return fault.fault_class
    if isinstance(fault, MemoryError):
        return FaultClass.OUT_OF_MEMORY
    if isinstance(fault, OSError) and (known := class_of_os_error(fault)) is not FaultClass.UNKNOWN:
        return known
    return None


STARTED_IN = "DELTASCALE_STARTED_IN"
"""Variable that says where a launch was started, to processes that were started elsewhere."""


def load_entry(entry: str) -> Callable[[str, Surroundings], str]:
    """Return the function that `package.module:function` names.

    The process goes to where the launch was started first: variables may name files from there.
    """
    if folder := os.environ.get(STARTED_IN):
        with suppress(OSError):  # it was deleted since
            os.chdir(folder)
    module, _, function = entry.partition(":")
    loaded: Callable[[str, Surroundings], str] = getattr(import_module(module), function)
    return loaded
