"""Cuts what is to run into allocations of a queue, so that a stage holds only what it needs.

Stages that need no GPU run on nodes without any, where there are such nodes. Each allocation holds
stages that follow each other in the study's graph, and comes after the one before it; of all such
cuts one with the fewest allocations is taken. Pure: shapes and needs in, allocations out.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cluster.machine.resources import Resources
from orchestrator.plan.decisions import JobDecision
from orchestrator.plan.machines import can_hold


@dataclass(frozen=True, kw_only=True)
class StageNeed:
    """What the jobs of one stage that are to run need."""

    stage: str
    """Name of the stage."""
    after: frozenset[str]
    """Stages that it reads, directly or not."""
    jobs: tuple[Resources, ...]
    """What each job needs."""


@dataclass(frozen=True, kw_only=True)
class NodeOffer:
    """Nodes of one shape that an allocation may be of."""

    node: Resources
    """What one node offers."""
    count: int
    """Most nodes that one allocation may have."""
    price: float | None = None
    """Price of a node and hour; None: not known."""


@dataclass(frozen=True, kw_only=True)
class Allocation:
    """One allocation: stages that run on nodes of one shape."""

    stages: tuple[str, ...]
    """Its stages, upstream first."""
    shape: int
    """Place of the shape among the offers."""
    num_nodes: int
    """Number of nodes."""


def stage_needs(decisions: Sequence[JobDecision]) -> list[StageNeed]:
    """Gather what is to run by stage, upstream first.

    Args:
        decisions: the jobs to run, in the plan's order, laid out on the nodes of the offers.
    """
    jobs: dict[str, list[Resources]] = {}
    reads: dict[str, set[str]] = {}
    for decision in decisions:
        stage = decision.job.stage
        resources = decision.job.resources if decision.fit is None else decision.fit.resources
        jobs.setdefault(stage, []).append(resources)
        upstream = reads.setdefault(stage, set())
        for refs in decision.job.inputs.values():
            for ref in refs:
                upstream |= {ref.stage, *reads.get(ref.stage, ())}
    return [
        StageNeed(stage=stage, after=frozenset(reads[stage]) & jobs.keys(), jobs=tuple(needed))
        for stage, needed in jobs.items()
    ]


def cut(needs: Sequence[StageNeed], offers: Sequence[NodeOffer]) -> list[Allocation]:
    """Cut stages into allocations that come one after another.

    Args:
        needs: the stages, upstream first.
        offers: shapes of nodes; at least one.

    Returns:
        The allocations in order. A stage that no shape holds whole goes to the shape that holds
        most of its jobs; its launch says which it refuses.
    """
    shapes = {need.stage: _shape_for(need, offers) for need in needs}
    after = {need.stage: need.after for need in needs}
    return [
        Allocation(
            stages=tuple(stages),
            shape=shape,
            num_nodes=_num_nodes([need for need in needs if need.stage in stages], offers[shape]),
        )
        for shape, stages in _fewest_groups(shapes, after)
    ]


def _shape_for(need: StageNeed, offers: Sequence[NodeOffer]) -> int:
    """Choose the shape that holds most jobs of a stage; of those, without GPUs it has no use for.

    Then the cheapest, then the first: what a user lists first is taken where nothing speaks
    against it.
    """
    takes_gpus = any(job.num_gpus for job in need.jobs)

    def rank(shape: int) -> tuple[int, bool, float, int]:
        offer = offers[shape]
        held = sum(can_hold([offer.node] * offer.count, job) for job in set(need.jobs))
        wastes = bool(offer.node.num_gpus) and not takes_gpus
        return -held, wastes, math.inf if offer.price is None else offer.price, shape

    return min(range(len(offers)), key=rank)


def _fewest_groups(
    shapes: Mapping[str, int], after: Mapping[str, frozenset[str]]
) -> list[tuple[int, list[str]]]:
    """Order the stages in as few groups of one shape as can be, none before what it reads."""
    reached: dict[frozenset[str], list[tuple[int, list[str]]]] = {frozenset(): []}
    while True:
        for done, groups in reached.items():
            if len(done) == len(shapes):
                return groups
        further: dict[frozenset[str], list[tuple[int, list[str]]]] = {}
        for done, groups in reached.items():
            for shape in sorted(set(shapes.values())):
                group = _all_startable(shape, done, shapes, after)
                if group:
                    further.setdefault(done.union(group), [*groups, (shape, group)])
        # Of two beginnings of one length, one that holds all of the other cannot be worse.
        reached = {
            done: groups
            for done, groups in further.items()
            if not any(done < other for other in further)
        }


def _all_startable(
    shape: int,
    done: frozenset[str],
    shapes: Mapping[str, int],
    after: Mapping[str, frozenset[str]],
) -> list[str]:
    """List the stages of a shape that can run once others are done, one after another."""
    group: list[str] = []
    for stage, reads in after.items():
        if shapes[stage] == shape and stage not in done and reads <= done.union(group):
            group.append(stage)
    return group


def _num_nodes(needs: Sequence[StageNeed], offer: NodeOffer) -> int:
    """Return how many nodes the widest stage can use at once, as many as there may be."""
    widest = 1
    for need in needs:
        at_once = 0.0
        for job in need.jobs:
            if job.num_nodes > 1:
                widest = max(widest, job.num_nodes)
            at_once += job.num_nodes / max(1, job.on_each_node.times_in(offer.node))
        widest = max(widest, math.ceil(at_once - 1e-9))
    return min(offer.count, widest)
