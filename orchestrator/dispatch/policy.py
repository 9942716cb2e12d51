"""Which ready job to start next: pure, from what waits and what is in use.

Jobs start in order of priority. Smaller jobs may pass a large one that does not fit yet, but only
`PATIENCE` times; then nothing more is started on what it needs until it fits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cluster.resources import Resources
from jobs.artifacts.job import Job
from orchestrator.plan.machines import can_hold, is_wide

PATIENCE = 8
"""Jobs that may start before a waiting job of higher priority."""

Priority = tuple[int, int]
"""Smaller starts first: minus the length of the longest path below the job, place in the plan."""


@dataclass(frozen=True, kw_only=True)
class Offer:
    """The foremost ready job of one shape (of several that need equal resources)."""

    key: str
    """Key of the job."""
    priority: Priority
    """Its place in the order."""
    resources: Resources
    """What it needs."""
    passed: int = 0
    """How often a job of lower priority started before one of this shape."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """What the executor has and does."""

    capacity: Resources
    """All there is."""
    in_use: Resources
    """Needs of all submitted jobs together; more than there is while some are queued."""
    shapes: frozenset[Resources]
    """What submitted jobs need, each shape once; empty when nothing is submitted."""
    num_ahead: int
    """Submitted jobs beyond what fits at once."""
    most_ahead: int
    """How many may be, so that no worker waits for the next one."""
    nodes: Sequence[Resources] | None = None
    """What each node has left; None where no ready job needs much of one node, or there is one."""

    @property
    def free(self) -> Resources:
        """What is not in use."""
        return self.capacity.minus(self.in_use)

    def holds(self, asked: Resources) -> bool:
        """Whether there is room for one more: in sum, and on nodes where it needs much of one."""
        return asked.fits(self.free) and not self.is_scattered(asked)

    def is_scattered(self, asked: Resources) -> bool:
        """Whether there would be room, were it not in pieces on several nodes."""
        if self.nodes is None or not is_wide(asked) or not asked.fits(self.free):
            return False
        return not can_hold(self.nodes, asked)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What to start."""

    offer: Offer
    """The job."""
    passes: Offer | None = None
    """The job of higher priority that it starts before."""


def choose(offers: Sequence[Offer], load: Load) -> Choice | None:
    """The next job to submit, or None when it is better to wait."""
    ordered = sorted(offers, key=lambda offer: offer.priority)
    if not ordered:
        return None
    first = ordered[0]
    if not load.shapes:
        # Whatever the sums say: an idle executor starts the foremost job.
        return Choice(offer=first)
    if load.holds(first.resources):
        return Choice(offer=first)
    for offer in ordered[1:]:
        if load.holds(offer.resources) and _may_pass(offer, first, load):
            return Choice(offer=offer, passes=first)
    if load.shapes == {first.resources} and load.num_ahead < load.most_ahead:
        # Only behind jobs of its own shape: a queue of mixed shapes would let the executor
        # start small ones for ever while a large one waits.
        return Choice(offer=first)
    return None


def may_join(resources: Resources, waiting: Sequence[Offer], load: Load) -> bool:
    """Whether one more worker may join a running job: only on what no ready job waits for."""
    return load.holds(resources) and all(
        _leaves_room(resources, offer.resources, load) for offer in waiting
    )


def longest_paths(jobs: Sequence[Job]) -> dict[str, int]:
    """Jobs on the longest way from each job to the end of the plan, itself included."""
    lengths: dict[str, int] = {job.key: 1 for job in jobs}
    for job in reversed(jobs):
        for key in needs(job):
            if key in lengths:
                lengths[key] = max(lengths[key], lengths[job.key] + 1)
    return lengths


def priorities(jobs: Sequence[Job]) -> Mapping[str, Priority]:
    """Longest remaining path first, then the plan's order."""
    lengths = longest_paths(jobs)
    places: dict[str, Priority] = {}
    for place, job in enumerate(jobs):
        places.setdefault(job.key, (-lengths[job.key], place))
    return places


def needs(job: Job) -> set[str]:
    """Keys of the jobs that must be done before this one: inputs its params make it use."""
    return {ref.key for name in job.used for ref in job.inputs.get(name, ())}


def _may_pass(offer: Offer, waiting: Offer, load: Load) -> bool:
    if waiting.passed < PATIENCE:
        return True
    return _leaves_room(offer.resources, waiting.resources, load)


def _leaves_room(resources: Resources, waiting: Resources, load: Load) -> bool:
    """Whether something may start that never delays what waits: only where both fit together.

    While nodes are emptied for what waits, nothing that it needs is taken from any of them.
    """
    emptied = ("num_gpus" if waiting.num_gpus else "num_cpus") if load.is_scattered(waiting) else ""
    left = load.capacity.minus(waiting)
    used = load.in_use.plus(resources)
    return all(
        getattr(resources, of) == 0
        or (getattr(used, of) <= getattr(left, of) + 1e-9 and of != emptied)
        for of in ("num_cpus", "num_gpus", "memory_gb")
    )
