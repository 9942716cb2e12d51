"""How long an allocation is asked for: from what jobs of the same stages took, with a margin.

A time limit that is too long waits in the queue; one that is too short costs a start. Where nothing
is known of some jobs, the profile's limit is asked for.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cluster.machine.resources import Resources
from jobs.artifacts.job import Job
from orchestrator.plan.allocations import Allocation, NodeOffer
from orchestrator.plan.decisions import JobDecision
from orchestrator.records.failure import Result
from orchestrator.records.history import History

MARGIN = 1.5
"""What is asked for, times what is expected: runs of one job differ, nodes of one shape, too."""
_START_S = 600.0
"""Seconds for Ray to start, workers to load, and jobs to save at the end."""
_STEP_S = 300.0
"""Limits are whole multiples of this: SLURM counts minutes, and people read them."""


@dataclass(frozen=True, kw_only=True)
class TimeAsked:
    """A time limit."""

    seconds: float | None
    """The limit; None: the partition's own."""
    why: str
    """Where it comes from, in one line."""


def ask_time(
    allocation: Allocation,
    offer: NodeOffer,
    decisions: Sequence[JobDecision],
    jobs: Mapping[str, Job],
    past: History,
    limit_s: float | None,
) -> TimeAsked:
    """Choose the time limit of an allocation.

    Args:
        allocation: the allocation.
        offer: its nodes.
        decisions: the jobs to run, of all allocations.
        jobs: key -> job, of the whole study.
        past: what the ledger says of earlier launches.
        limit_s: most that the profile allows; None: it says nothing.
    """
    chosen = [one for one in decisions if one.job.stage in allocation.stages]
    measured = mean_seconds(jobs, past)
    expected = [_expected_s(decision, measured) for decision in chosen]
    known = [seconds for seconds in expected if seconds is not None]
    if len(known) < len(chosen):
        unknown = f"of {len(chosen) - len(known)} of {len(chosen)} jobs nothing is known yet"
        if limit_s is None:
            return TimeAsked(seconds=None, why=f"the partition's own limit: {unknown}")
        return TimeAsked(seconds=limit_s, why=f"the profile's limit: {unknown}")
    stages = [
        _stage_s(stage, offer, allocation.num_nodes, chosen, known) for stage in allocation.stages
    ]
    wanted = math.ceil((sum(stages) * MARGIN + _START_S) / _STEP_S) * _STEP_S
    num_measured = sum(decision.job.stage in measured for decision in chosen)
    what = (
        f"{num_measured} of {len(chosen)} jobs as measured in this root, the others as forecast"
        if num_measured < len(chosen)
        else f"all {len(chosen)} jobs as measured in this root"
    )
    why = (
        f"{sum(stages) / 60:.0f} min expected ({what}) x {MARGIN:g} and {_START_S / 60:.0f} min "
        "to start and save"
    )
    if limit_s is not None and wanted > limit_s:
        return TimeAsked(seconds=limit_s, why=f"the profile's limit: {why} is more")
    return TimeAsked(seconds=wanted, why=why)


def mean_seconds(jobs: Mapping[str, Job], past: History) -> Mapping[str, float]:
    """Return stage -> mean seconds of those of its jobs that are done, as the ledger has them."""
    spent: dict[str, list[float]] = defaultdict(list)
    for key, job in past.jobs.items():
        if key in jobs and job.result is Result.DONE and job.seconds > 0:
            spent[jobs[key].stage].append(job.seconds)
    return {stage: sum(times) / len(times) for stage, times in spent.items()}


def _expected_s(decision: JobDecision, measured: Mapping[str, float]) -> float | None:
    if decision.job.stage in measured:
        return measured[decision.job.stage]
    hours = decision.fit.hours if decision.fit is not None else None
    return None if hours is None else hours * 3600


def _stage_s(
    stage: str,
    offer: NodeOffer,
    num_nodes: int,
    decisions: Iterable[JobDecision],
    expected: Iterable[float],
) -> float:
    """Return how long a stage takes where its jobs share the nodes: never less than its longest."""
    longest = shared = 0.0
    for decision, seconds in zip(decisions, expected, strict=True):
        if decision.job.stage != stage:
            continue
        resources = decision.job.resources if decision.fit is None else decision.fit.resources
        longest = max(longest, seconds)
        shared += seconds * _share_of(resources, offer.node, num_nodes)
    return max(longest, shared)


def _share_of(needed: Resources, node: Resources, num_nodes: int) -> float:
    """Return which part of all nodes a job holds."""
    at_once = max(1, needed.on_each_node.times_in(node)) * num_nodes / needed.num_nodes
    return 1.0 / max(1.0, at_once)


def slurm_time(seconds: float) -> str:
    """Write a time limit as SLURM does: `1-02:30:00`. Never more than the seconds."""
    minutes = max(1, int(seconds // 60))
    days, rest = divmod(minutes, 24 * 60)
    return (f"{days}-" if days else "") + f"{rest // 60:02d}:{rest % 60:02d}:00"
