"""The policy: which ready job starts next, from the jobs that wait and the resources in use; pure.

What happens after a failure is decided in `orchestrator.records.failure`.

Jobs start in order of priority. Smaller jobs may pass a large one that does not fit yet, but only
`PATIENCE` times; then nothing more is started on the resources it needs until it fits.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from cluster.machine.resources import Resources
from jobs.artifacts.job import Job
from orchestrator.plan.machines import can_hold, is_wide

PATIENCE = 8
"""Number of jobs that may start before a waiting job of higher priority."""

Priority = tuple[int, int]
"""Smaller starts first: minus the length of the longest path below the job, place in the plan."""


@dataclass(frozen=True, kw_only=True)
class Offer:
    """The foremost ready job among those that need equal resources (one shape)."""

    key: str
    """Key of the job."""
    priority: Priority
    """Priority of the job."""
    resources: Resources
    """Resources that the job needs."""
    passed: int = 0
    """How often a job of lower priority started before one of this shape."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """What the executor has, and what runs on it."""

    capacity: Resources
    """All resources of the executor."""
    in_use: Resources
    """Resources of all submitted jobs together; above the capacity while some are queued."""
    shapes: frozenset[Resources]
    """Resources that submitted jobs need, each shape once; empty when none is submitted."""
    num_ahead: int
    """Number of submitted jobs beyond those that fit at once."""
    most_ahead: int
    """How many may be submitted ahead, so that no worker waits for the next job."""
    nodes: Sequence[Resources] | None = None
    """What each node has left; None with one node, or if no ready job needs much of a node."""

    @property
    def free(self) -> Resources:
        """Resources that are not in use."""
        return self.capacity.minus(self.in_use)

    def holds(self, needed: Resources) -> bool:
        """Return True when one more job fits: in sum, and on single nodes where that matters."""
        return needed.fits(self.free) and not self.is_scattered(needed)

    def is_scattered(self, needed: Resources) -> bool:
        """Return True when a job fits in sum, but on no node: free resources are scattered."""
        if self.nodes is None or not is_wide(needed) or not needed.fits(self.free):
            return False
        return not can_hold(self.nodes, needed)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The job to start."""

    offer: Offer
    """The job."""
    passes: Offer | None = None
    """The job of higher priority that waits longer for it."""


def choose(offers: Sequence[Offer], load: Load) -> Choice | None:
    """Choose the next job to submit; None when it is better to wait."""
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
    """Return True when one more worker may join a job: only where no ready job waits for it."""
    return load.holds(resources) and all(
        _leaves_room(resources, offer.resources, load) for offer in waiting
    )


def longest_paths(jobs: Sequence[Job]) -> dict[str, int]:
    """Count the jobs on the longest path from each job to the end of the plan, itself included."""
    lengths: dict[str, int] = {job.key: 1 for job in jobs}
    for job in reversed(jobs):
        for key in needs(job):
            if key in lengths:
                lengths[key] = max(lengths[key], lengths[job.key] + 1)
    return lengths


def priorities(jobs: Sequence[Job], readers: Set[str] = frozenset()) -> Mapping[str, Priority]:
    """Return the priority of each job: longest remaining path first, then the plan's order.

    Args:
        jobs: upstream first.
        readers: keys of jobs that read what is let go once it was read. They go before all others,
            so that one large artifact goes before the next ones are made.
    """
    lengths = longest_paths(jobs)
    longest = max(lengths.values(), default=0)
    places: dict[str, Priority] = {}
    for place, job in enumerate(jobs):
        ahead = longest if job.key in readers else 0
        places.setdefault(job.key, (-lengths[job.key] - ahead, place))
    return places


def needs(job: Job) -> set[str]:
    """Return the keys of the inputs that the job's params make it use; they must be done before."""
    return {ref.key for name in job.used for ref in job.inputs.get(name, ())}


def _may_pass(offer: Offer, waiting: Offer, load: Load) -> bool:
    if waiting.passed < PATIENCE:
        return True
    return _leaves_room(offer.resources, waiting.resources, load)


def _leaves_room(resources: Resources, waiting: Resources, load: Load) -> bool:
    """Return True when a job can start without ever delaying the waiting one: both fit together.

    While nodes are emptied for the waiting job, nothing that it needs is taken from any of them.
    """
    emptied = ("num_gpus" if waiting.num_gpus else "num_cpus") if load.is_scattered(waiting) else ""
    left = load.capacity.minus(waiting)
    used = load.in_use.plus(resources)
    return all(
        getattr(resources, name) == 0
        or (getattr(used, name) <= getattr(left, name) + 1e-9 and name != emptied)
        for name in ("num_cpus", "num_gpus", "memory_gb")
    )
