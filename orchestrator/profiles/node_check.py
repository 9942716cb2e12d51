"""Holds the nodes that a profile promises against those that there are."""

from collections.abc import Sequence

from cluster.machine.resources import Resources
from orchestrator.profiles.kind import Finding
from orchestrator.text import pluralize

_KEPT = 0.9
"""Of the memory that a maker says: the rest the firmware and the operating system may keep."""
_ROOM = 1.1
"""A driver reports up to so much more or less than a GPU's size: it counts memory in MiB."""


def describe(node: Resources) -> str:
    """Return what a node offers, with the product of its GPUs."""
    gpu = f" ({node.gpu_name})" if node.gpu_name else ""
    return node.describe().replace(", inf GB", "") + gpu


def compare_nodes(wanted: Sequence[Resources], there: Sequence[Resources]) -> list[Finding]:
    """Say of each node of a profile whether there is one that offers as much.

    Args:
        wanted: the nodes of the profile.
        there: the nodes that there are.
    """
    left, missing = list(there), []
    for node in wanted:
        able = next((other for other in left if _as_much(node, other)), None)
        if able is None:
            missing.append(node)
        else:
            left.remove(able)
    shown = "; ".join(sorted({describe(node) for node in there})) or "none"
    findings = [Finding(is_good=True, text=f"there: {pluralize(len(there), 'node')}: {shown}")]
    if missing:
        text = f"{pluralize(len(missing), 'node')} of {describe(missing[0])}"
        findings.append(Finding(is_good=False, text=f"nodes: {text}: not there now"))
    return findings


def _as_much(wanted: Resources, there: Resources) -> bool:
    return (
        wanted.num_cpus <= there.num_cpus
        and wanted.num_gpus <= there.num_gpus
        and (wanted.memory_gb == float("inf") or wanted.memory_gb * _KEPT <= there.memory_gb)
        and (not there.gpu_memory_gb or wanted.gpu_memory_gb <= there.gpu_memory_gb * _ROOM)
    )
