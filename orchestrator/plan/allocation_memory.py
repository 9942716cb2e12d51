"""How much host memory an allocation asks of each node: what jobs held before, with a margin.

A whole node's memory keeps others from its cores; too little ends jobs. Where nothing was measured
of a stage, the memory that the profile gives the node is asked for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from cluster.machine.resources import Resources
from jobs.artifacts.job import Job
from orchestrator.plan.allocations import Allocation, NodeOffer
from orchestrator.plan.decisions import JobDecision
from orchestrator.records.history import History

MARGIN = 1.3
"""What is asked for, times the most that a job of the stage held: caches grow where they may."""
_OVERHEAD_GB = 3.0
"""Ray's processes, the launch itself, and what a worker holds between jobs."""
_LEFT_OF_NODE = 0.93
"""Part of what SLURM gives that the script offers to jobs, at least."""


@dataclass(frozen=True, kw_only=True)
class MemoryAsked:
    """Host memory of each node."""

    gigabytes: float | None
    """Memory in 10^9 bytes; None: the partition's own."""
    why: str
    """Where it comes from, in one line."""


def ask_memory(
    allocation: Allocation,
    offer: NodeOffer,
    decisions: Sequence[JobDecision],
    jobs: Mapping[str, Job],
    past: History,
) -> MemoryAsked:
    """Choose the memory that an allocation asks of each node.

    Args:
        allocation: the allocation.
        offer: its nodes; of infinite memory where the profile says nothing of it.
        decisions: the jobs to run, of all allocations.
        jobs: key -> job, of the whole study.
        past: what the ledger says of earlier launches.
    """
    most = offer.node.memory_gb
    if most == float("inf"):
        return MemoryAsked(gigabytes=None, why="the partition's own: the profile says nothing")
    measured = peaks_gb(jobs, past)
    unknown = [stage for stage in allocation.stages if stage not in measured]
    if unknown:
        named = ", ".join(unknown[:3]) + (" …" if len(unknown) > 3 else "")
        return MemoryAsked(gigabytes=most, why=f"the profile's node: nothing measured of {named}")
    wanted = 0.0
    for decision in decisions:
        stage = decision.job.stage
        if stage in allocation.stages:
            needed = decision.job.resources if decision.fit is None else decision.fit.resources
            wanted = max(wanted, _on_a_node(needed, measured[stage], offer.node))
    why = (
        f"{wanted:.1f} GB in all jobs at once on a node (most that each held, as measured in this "
        f"root, x {MARGIN:g}) and {_OVERHEAD_GB:g} GB beside them"
    )
    asked = round(wanted / _LEFT_OF_NODE + _OVERHEAD_GB, 1)
    if asked >= most:
        return MemoryAsked(gigabytes=most, why=f"the profile's node: {why} is more")
    return MemoryAsked(gigabytes=asked, why=why)


def peaks_gb(jobs: Mapping[str, Job], past: History) -> Mapping[str, float]:
    """Return stage -> most host memory that a rank of one of its jobs held, in 10^9 bytes."""
    peaks: dict[str, float] = {}
    for key, job in past.jobs.items():
        if key in jobs and job.peak_gb:
            stage = jobs[key].stage
            peaks[stage] = max(peaks.get(stage, 0.0), job.peak_gb)
    return peaks


def _on_a_node(needed: Resources, peak_gb: float, node: Resources) -> float:
    """Return what as many jobs as a node runs at once hold there together."""
    ranks = -(-needed.num_ranks // needed.num_nodes)
    held = max(peak_gb * MARGIN, needed.memory_gb) * ranks
    without_memory = replace(needed, memory_gb=0.0).on_each_node
    return max(1, without_memory.times_in(node)) * held
