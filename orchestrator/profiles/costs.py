"""What the jobs of a plan would cost on the nodes of a profile: GPU-hours and money, by stage.

A job costs its share of the nodes it holds, for the hours expected of it: a GPU costs its node's
price divided by the GPUs of the node; a job without GPUs costs its share of the cores or of the
memory of a node, whichever is larger, and runs on a node without GPUs where the profile has one
that holds it. Where nodes of several shapes could hold a job, the dearest counts. What is not known
is counted as unknown, never as nothing.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from cluster.machine.resources import Resources
from orchestrator.plan.decisions import RUNS, JobDecision
from orchestrator.profiles.profile import Nodes

RULE = (
    "a GPU costs its share of its node's price; a job without GPUs its share of the cores or the "
    "memory, on nodes without GPUs where they hold it; of several shapes the dearest; what idles "
    "in a held node is not counted"
)
"""How a plan is priced, in one sentence."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What some jobs would cost."""

    jobs: int
    """Jobs that would run, each key once."""
    gpu_hours: float | None
    """GPU-hours of the jobs whose hours are known; None: of none."""
    money: float | None
    """Price of the jobs whose hours and nodes' prices are known; None: of none."""
    jobs_of_unknown_hours: int
    """Jobs that are not counted, because nobody knows how long they take."""
    gpu_jobs_of_unknown_hours: int
    """Those of them that hold GPUs."""
    jobs_without_price: int
    """Jobs of known hours that are not in `money`, because a node that may hold them has no
    price."""


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What a plan would cost on a profile."""

    currency: str | None
    """Currency of the prices; None where the profile has no prices."""
    stages: dict[str, Cost]
    """Stage -> its cost, in the plan's order; a job that two stages share counts in the first."""
    total: Cost
    """All of them together."""

    def document(self) -> dict[str, Any]:
        """Return the costs as JSON; what is not known is null."""
        stages = [{"stage": name, **asdict(cost)} for name, cost in self.stages.items()]
        return {
            "currency": self.currency,
            "stages": stages,
            "total": asdict(self.total),
            "rule": RULE,
        }


def plan_costs(
    decisions: Sequence[JobDecision], nodes: Sequence[Nodes], currency: str | None
) -> Costs:
    """Price the jobs that a launch would run.

    Args:
        decisions: of a plan for these nodes.
        nodes: shapes of nodes, with their prices; none where nothing says what is planned for.
        currency: of the prices.
    """
    first = {item.job.key: item for item in reversed(decisions)}
    to_run = [item for item in decisions if first[item.job.key] is item and item.decision in RUNS]
    return Costs(
        currency=currency,
        stages={
            stage: _cost(group, nodes)
            for stage, group in groupby(to_run, key=lambda item: item.job.stage)
        },
        total=_cost(to_run, nodes),
    )


def _cost(decisions: Iterable[JobDecision], nodes: Sequence[Nodes]) -> Cost:
    jobs = list(decisions)
    timed = [(item, item.fit.hours) for item in jobs if item.fit and item.fit.hours is not None]
    prices = [(hours, price_per_hour(_needs(item), nodes)) for item, hours in timed]
    known = [hours * price for hours, price in prices if price is not None]
    return Cost(
        jobs=len(jobs),
        gpu_hours=sum(hours * item.num_gpus for item, hours in timed) if timed else None,
        money=sum(known) if known else None,
        jobs_of_unknown_hours=len(jobs) - len(timed),
        gpu_jobs_of_unknown_hours=sum(
            bool(item.num_gpus) and item.gpu_hours is None for item in jobs
        ),
        jobs_without_price=len(timed) - len(known),
    )


def _needs(decision: JobDecision) -> Resources:
    return decision.fit.resources if decision.fit else decision.job.resources


def price_per_hour(needed: Resources, nodes: Sequence[Nodes]) -> float | None:
    """Return the price of what a job holds for an hour; None where a node of it has no price."""
    part = needed.on_each_node
    able = [shape for shape in nodes if part.fits(shape.node)]
    if not part.num_gpus:
        able = [shape for shape in able if not shape.gpus] or able
    prices = [shape.price and shape.price * _share(part, shape) for shape in able]
    known = [price for price in prices if price is not None]
    if not known or len(known) < len(prices):
        return None
    return max(known) * needed.num_nodes


def _share(part: Resources, shape: Nodes) -> float:
    """Return which share of a node a job holds."""
    if part.num_gpus:
        return part.num_gpus / shape.gpus
    offered = shape.node
    memory = 0.0 if math.isinf(offered.memory_gb) else part.memory_gb / offered.memory_gb
    return max(part.num_cpus / offered.num_cpus, memory)
