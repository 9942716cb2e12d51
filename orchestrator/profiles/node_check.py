"""Holds the nodes that a profile promises against those that there are."""

from collections import Counter
from collections.abc import Sequence

from cluster.machine.resources import Resources
from orchestrator.text import pluralize

_KEPT = 0.9
"""Of the memory that a maker says: the rest the firmware and the operating system may keep."""
_ROOM = 1.1
"""A driver reports up to so much more or less than a GPU's size: it counts memory in MiB."""


def describe(node: Resources) -> str:
    """Return what a node offers, with the product of its GPUs."""
    gpu = f" ({node.gpu_name})" if node.gpu_name else ""
    return node.describe().replace(", inf GB", "") + gpu


def missing_nodes(wanted: Sequence[Resources], there: Sequence[Resources]) -> list[str]:
    """Return which nodes of a profile no node offers as much as: `2 nodes of 64 CPUs, 8 GPUs`.

    Args:
        wanted: the nodes of the profile.
        there: the nodes that there are.
    """
    left, missing = list(there), Counter[str]()
    for node in wanted:
        able = next((other for other in left if _as_much(node, other)), None)
        if able is None:
            missing[describe(node)] += 1
        else:
            left.remove(able)
    return [f"{pluralize(number, 'node')} of {text}" for text, number in missing.items()]


def _as_much(wanted: Resources, there: Resources) -> bool:
    return (
        wanted.num_cpus <= there.num_cpus
        and wanted.num_gpus <= there.num_gpus
        and (wanted.memory_gb == float("inf") or wanted.memory_gb * _KEPT <= there.memory_gb)
        and (not there.gpu_memory_gb or wanted.gpu_memory_gb <= there.gpu_memory_gb * _ROOM)
    )
