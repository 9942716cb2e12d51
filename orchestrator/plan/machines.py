"""The machines a launch has or a plan is made for, and whether they could hold a job."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from cluster.executor import Executor
from cluster.resources import Resources


def is_wide(asked: Resources) -> bool:
    """True for a job that takes more of one node than the next call of one GPU leaves there."""
    return asked.num_ranks > 1 or asked.num_gpus > 1


class Machines:
    """What an executor offers; look again now and then, because nodes come and go."""

    def __init__(self, executor: Executor) -> None:
        self.capacity = Resources(num_cpus=0)
        self.nodes: Sequence[Resources] = ()
        self.most_ranks = executor.most_ranks()
        self._executor = executor

    def look(self) -> bool:
        """See what there is now; True when the nodes are others than before."""
        self.capacity = self._executor.capacity()
        before, self.nodes = self.nodes, tuple(self._executor.nodes())
        return self.nodes != before

    def free_for(self, shapes: Iterable[Resources]) -> Sequence[Resources] | None:
        """What each node has left now; None where the sums say as much, and nobody is asked."""
        if len(self.nodes) == 1 or not any(is_wide(shape) for shape in shapes):
            return None
        return tuple(self._executor.free())

    @property
    def at_hand(self) -> list[Resources]:
        """The nodes as kinds plan for them: one that refuses nothing has what there really is."""
        return [
            replace(
                node,
                num_gpus=_real(node.num_gpus, self.capacity.num_gpus),
                memory_gb=_real(node.memory_gb, self.capacity.memory_gb),
                gpu_memory_gb=node.gpu_memory_gb or self.capacity.gpu_memory_gb,
            )
            for node in self.nodes
        ]


def can_hold(nodes: Sequence[Resources], asked: Resources) -> bool:
    """True when as many nodes as it is spread over could each hold their part while empty."""
    part = asked.on_each_node
    return sum(part.fits(node) for node in nodes) >= asked.num_nodes


def refusal(nodes: Sequence[Resources], asked: Resources) -> str:
    """Why they cannot hold it: what one node would need, and what there is."""
    there_is = " / ".join(sorted({node.describe() for node in nodes})) or "nothing"
    part = asked.on_each_node
    if asked.num_ranks == 1:
        return f"no node can hold it: needs {part.describe()}, nodes have {there_is}"
    able = sum(part.fits(node) for node in nodes)
    if able:
        return (
            f"{able} of the {asked.num_nodes} nodes that it is spread over can hold their part: "
            f"each needs {part.describe()}, nodes have {there_is}"
        )
    return f"no node can hold its part of {asked.num_ranks} ranks: {_most(nodes, part, there_is)}"


def _most(nodes: Sequence[Resources], part: Resources, there_is: str) -> str:
    """What is short, in one sentence: `needs 8 x 80 GB on one node; the largest node has 4`."""
    most_gpus = max((node.num_gpus for node in nodes), default=0.0)
    if part.num_gpus > most_gpus + 1e-9:
        of = f" x {part.gpu_memory_gb:g} GB" if part.gpu_memory_gb else " GPUs"
        return f"needs {part.num_gpus:g}{of} on one node; the largest node has {most_gpus:g}"
    return f"one node needs {part.describe()}, nodes have {there_is}"


def _real(offered: float, capacity: float) -> float:
    return capacity if math.isinf(offered) else offered
