"""`TemporarySpace`: what jobs write into the temp folder of a node (`TMPDIR`), for messages."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cluster.machine.resources import Resources
from orchestrator.plan.decisions import RUNS, JobDecision
from orchestrator.text import gigabytes, pluralize

MORE_TEMP = "make room there, or set TMPDIR to a folder on a larger disk before Ray is started"
"""What to do where it is too little."""


@dataclass(frozen=True, kw_only=True)
class TemporarySpace:
    """Bytes that the jobs to run put into the temp folder of a node while they run."""

    most_bytes: int
    """Most bytes of one job."""
    at_once_bytes: int
    """Most bytes of all jobs that one node holds at a time."""
    num_jobs: int
    """Jobs that write any."""

    @property
    def summary(self) -> str:
        """One line: `up to 2.1 GB a job, 4.2 GB at a time (8 jobs put models together)`."""
        together = (
            f", {gigabytes(self.at_once_bytes)} at a time on one node"
            if self.at_once_bytes > self.most_bytes
            else ""
        )
        jobs = f"{pluralize(self.num_jobs, 'job')} open{'s' if self.num_jobs == 1 else ''}"
        return f"up to {gigabytes(self.most_bytes)} a job{together} ({jobs} models on the way)"


def measure_temporary_space(
    decisions: Iterable[JobDecision], nodes: Sequence[Resources]
) -> TemporarySpace | None:
    """Return what the jobs to run put into the temp folder; None where they put nothing there.

    Args:
        decisions: what a launch would do.
        nodes: what each node offers; without any, jobs run one at a time.
    """
    by_key = {item.job.key: item for item in decisions if item.decision in RUNS}
    writing = sorted(
        (item for item in by_key.values() if item.temporary_bytes),
        key=lambda item: -item.temporary_bytes,
    )
    if not writing:
        return None
    most = writing[0].temporary_bytes
    return TemporarySpace(
        most_bytes=most,
        at_once_bytes=max((_at_once(writing, node) for node in nodes), default=most),
        num_jobs=len(writing),
    )


def _at_once(writing: Sequence[JobDecision], node: Resources) -> int:
    """Return the bytes of the jobs that fill a node, the largest first."""
    left, taken = node, 0
    for item in writing:
        needed = (item.job.resources if item.fit is None else item.fit.resources).on_each_node
        if needed.fits(left):
            left, taken = left.minus(needed), taken + item.temporary_bytes
        if left.num_cpus <= 0:
            break
    return max(taken, writing[0].temporary_bytes)
