"""The machines that a launch has or a plan is made for, and whether they could hold a job."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import reduce

from cluster.errors import UserError
from cluster.executor import Executor
from cluster.machine.accelerators import (
    find_accelerator,
    gpu_memory_gb,
    nearest_product,
    open_sizes,
    planned_as,
    product_names,
)
from cluster.machine.gpu_processes import gpu_processes
from cluster.machine.resources import Resources

MACHINES_GRAMMAR = (
    "NODESxGPUSxTYPE, several separated by commas: 2x8xH100-80GB is two nodes of eight H100 of "
    "80 GB each, 1x0 one node without GPUs"
)
"""How `plan --machines` names machines, for its help and for messages."""
_NODES = re.compile(r"([1-9][0-9]*)x(?:0|([1-9][0-9]*)x([A-Za-z0-9][A-Za-z0-9_. -]{0,80}))")
_MOST_NAMED = 8
_MOST_NODES = 10_000
_MOST_GPUS = 1_024
"""GPUs of one node: more than any node has."""


def is_wide(needed: Resources) -> bool:
    """Tell whether a job takes more of one node than another job of one GPU leaves there."""
    return needed.num_ranks > 1 or needed.num_gpus > 1


class Machines:
    """What an executor offers; nodes come and go, so it is asked again now and then."""

    def __init__(self, executor: Executor) -> None:
        self.capacity = Resources(num_cpus=0)
        self.nodes: Sequence[Resources] = ()
        self.known: Sequence[Resources] = ()
        """The nodes that this launch had at its best: what went may come back."""
        self.without: frozenset[str] = frozenset()
        """Names of nodes that get no jobs for so long that nothing is planned for them."""
        self.most_ranks = executor.most_ranks()
        self._executor = executor

    def refresh(self) -> bool:
        """Ask the executor what there is now; return True when the nodes have changed."""
        self.capacity = self._executor.capacity()
        before, self.nodes = self.nodes, tuple(self._executor.nodes())
        if self.without:
            rooms = self._executor.rooms()
            self.nodes = tuple(room.offers for room in rooms if room.name not in self.without)
            self.capacity = sum_of(self.nodes)
        if self.nodes == before:
            return False
        # Of each size as many as were there in one moment: one that comes and goes is one.
        self.known = tuple((Counter(self.known) | Counter(self.nodes)).elements())
        return True

    def free_for(self, shapes: Iterable[Resources]) -> Sequence[Resources] | None:
        """Return what each node has left now; None, unasked, where the sums say as much."""
        if len(self.nodes) == 1 or not any(is_wide(shape) for shape in shapes):
            return None
        return tuple(self._executor.free())

    def as_planned_for(self, nodes: Sequence[Resources]) -> list[Resources]:
        """Return nodes as kinds plan for them: of one that refuses nothing, what it really has."""
        return [
            replace(
                node,
                num_gpus=_real(node.num_gpus, self.capacity.num_gpus),
                memory_gb=_real(node.memory_gb, self.capacity.memory_gb),
                gpu_memory_gb=node.gpu_memory_gb or self.capacity.gpu_memory_gb,
                gpu_name=node.gpu_name or self.capacity.gpu_name,
            )
            for node in nodes
        ]


def sum_of(nodes: Iterable[Resources]) -> Resources:
    """Return what nodes offer together."""
    return reduce(Resources.plus, nodes, Resources(num_cpus=0))


def can_hold(nodes: Sequence[Resources], needed: Resources) -> bool:
    """Tell whether enough nodes could each hold their part of a job while they are empty."""
    part = needed.on_each_node
    if needed.num_nodes == 1 and nodes and part.fits(nodes[0]):
        return True  # of thousands of nodes the others need no look
    return _num_able(nodes, part) >= needed.num_nodes


def _num_able(nodes: Sequence[Resources], part: Resources) -> int:
    """Count the nodes that hold a part; of many equal ones (`10000x8xH100`) one is asked."""
    numbers = Counter(map(id, nodes))
    return sum(numbers[known] for known, node in _each_once(nodes).items() if part.fits(node))


def _each_once(nodes: Sequence[Resources]) -> dict[int, Resources]:
    return dict(zip(map(id, nodes), nodes, strict=True))


def refusal(nodes: Sequence[Resources], needed: Resources) -> str:
    """Say why the nodes cannot hold a job: what one node would need, and what there is."""
    offered = " / ".join(sorted({node.describe() for node in _each_once(nodes).values()}))
    offered = offered or "nothing"
    part = needed.on_each_node
    if needed.num_ranks == 1:
        return f"no node can hold it: needs {part.describe()}, nodes have {offered}"
    able = _num_able(nodes, part)
    if able:
        return (
            f"only {able} of the {needed.num_nodes} nodes needed can hold their part of the job: "
            f"each needs {part.describe()}, nodes have {offered}"
        )
    return (
        f"no node can hold its part of {needed.num_ranks} ranks: {_shortage(nodes, part, offered)}"
    )


def _shortage(nodes: Sequence[Resources], part: Resources, offered: str) -> str:
    """Say what is short, in one phrase: `needs 8 x 80 GB on one node; the largest node has 4`."""
    most_gpus = max((node.num_gpus for node in nodes), default=0.0)
    if part.num_gpus > most_gpus + 1e-9:
        unit = f" x {part.gpu_memory_gb:g} GB" if part.gpu_memory_gb else " GPUs"
        return f"needs {part.num_gpus:g}{unit} on one node; the largest node has {most_gpus:g}"
    return f"one node needs {part.describe()}, nodes have {offered}"


def _real(offered: float, capacity: float) -> float:
    return capacity if math.isinf(offered) else offered


def parse_machines(text: str) -> list[Resources]:
    """Read `NODESxGPUSxTYPE,…`: one entry per node. Raises UserError.

    Cores and host memory are taken to be enough for any job.
    """
    nodes: list[Resources] = []
    for part in text.split(","):
        nodes += _parse_nodes(part.strip())
        if len(nodes) > _MOST_NODES:
            raise UserError(f"more than {_MOST_NODES:,} nodes are named", where="--machines")
    return nodes


def _parse_nodes(text: str) -> list[Resources]:
    match = _NODES.fullmatch(text)
    if match is None:
        raise UserError(
            f"{text[:100]!r} names no machines", where="--machines", hint=MACHINES_GRAMMAR
        )
    num_nodes = _count(match[1], _MOST_NODES, "nodes")
    if match[2] is None:
        return [_node(0, 0.0, "")] * num_nodes
    num_gpus = _count(match[2], _MOST_GPUS, "GPUs of one node")
    memory_gb = gpu_memory_gb(match[3])
    if not memory_gb:
        raise UserError(
            f"the memory of the GPU type {match[3]!r} is not known",
            where="--machines",
            allowed=product_names(),
            hint=_did_you_mean(match[3])
            + f"or write its memory: {match[1]}x{match[2]}x{match[3]}-80GB",
        )
    return [_node(num_gpus, memory_gb, match[3])] * num_nodes


def notes_on_neighbours() -> list[str]:
    """Say which processes are on the GPUs of this machine now; jobs have what they leave."""
    processes = [process.describe() for process in gpu_processes()]
    if not processes:
        return []
    shown = ", ".join(processes[:_MOST_NAMED])
    more = f" and {len(processes) - _MOST_NAMED} more" if len(processes) > _MOST_NAMED else ""
    return [f"GPUs of this machine are in use: {shown}{more}; jobs have what is left"]


def _did_you_mean(name: str) -> str:
    near = nearest_product(name)
    return f"did you mean {near!r}? " if near else ""


def notes_on_machines(machines: Iterable[Resources]) -> list[str]:
    """Say what GPUs are planned as whose product is not known, each kind of them once."""
    machines = list(machines)
    unknown = {
        (node.gpu_name, node.gpu_memory_gb): None
        for node in machines
        if node.num_gpus and find_accelerator(node.gpu_name) is None
    }
    notes = []
    for name, memory_gb in unknown:
        stand_in = planned_as(name, memory_gb)
        what = f"the GPU {name!r} is not known" if name else "nobody says what the GPUs are"
        if stand_in is None:
            told = "nothing is known of its memory or speed, so no hours are expected"
        else:
            told = f"hours are those of {stand_in.name} that is known"
        notes.append(f"{what}: {_did_you_mean(name) if name else ''}{told}")
    return [*notes, *_notes_on_sizes(machines)]


def _notes_on_sizes(machines: Iterable[Resources]) -> list[str]:
    """Say which products are planned with the smallest memory that they are sold with."""
    notes = {
        f"{node.gpu_name} is sold with {' or '.join(f'{size:g}' for size in sizes)} GB, and "
        f"planned with {sizes[0]:g}: write {node.gpu_name}-{sizes[-1]:g}GB where that is meant"
        for node in machines
        if node.num_gpus
        and (sizes := open_sizes(node.gpu_name))
        # A driver's figure is none of the makers' round ones: then the size is known.
        and node.gpu_memory_gb == sizes[0]
    }
    return sorted(notes)


def _count(digits: str, most: int, what: str) -> int:
    # The number of digits first: Python refuses to read thousands of them.
    if len(digits) > len(str(most)) or int(digits) > most:
        raise UserError(
            f"{digits[:20]}{'…' if len(digits) > 20 else ''} {what} are more than there are",
            where="--machines",
            allowed=[f"1 to {most:,}"],
        )
    return int(digits)


def _node(num_gpus: int, memory_gb: float, name: str) -> Resources:
    return Resources(
        num_cpus=math.inf,
        num_gpus=num_gpus,
        memory_gb=math.inf,
        gpu_memory_gb=memory_gb,
        gpu_name=name,
    )
