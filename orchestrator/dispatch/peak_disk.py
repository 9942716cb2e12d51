"""`PeakDisk`: the most bytes that a study will have on its root, with and without letting go."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.dispatch.job_states import JobStates
from orchestrator.dispatch.policy import priorities
from orchestrator.plan.decisions import READABLE, RUNS, JobDecision
from orchestrator.plan.retention import Retention
from orchestrator.text import gigabytes, pluralize


@dataclass(frozen=True, kw_only=True)
class PeakDisk:
    """Bytes of the artifacts of a study while it runs, its jobs one after another."""

    peak_bytes: int
    """Most at any moment; checkpoints of running jobs are not counted."""
    peak_bytes_if_kept: int
    """The same if nothing were let go."""
    let_go_bytes: int
    """Bytes that will have been let go when the study is complete."""
    num_let_go: int
    """Number of jobs whose files will have been let go by then."""
    num_unknown: int
    """Number of those whose size is not known yet."""

    @property
    def summary(self) -> str:
        """One line for people."""
        going = f"{pluralize(self.num_let_go, 'artifact')}, once all that read them are done"
        if self.num_unknown == self.num_let_go:
            return f"{going}; their sizes are not known yet"
        unknown = f", {self.num_unknown} of unknown size" if self.num_unknown else ""
        return (
            f"{going}: {gigabytes(self.let_go_bytes)}{unknown}; "
            f"at most {gigabytes(self.peak_bytes)} stand at a time, jobs one after another, and "
            f"{gigabytes(self.peak_bytes_if_kept)} if all were kept"
        )


def peak_disk(decisions: Sequence[JobDecision], retention: Retention) -> PeakDisk | None:
    """Go through the jobs in the order in which one machine would do them; None if nothing goes.

    Args:
        decisions: what a launch would do, with the bytes that are expected of each job.
        retention: what goes once it was read.
    """
    if not retention.readers:
        return None
    by_key = {item.job.key: item for item in decisions}
    done = {key for key, item in by_key.items() if item.decision in READABLE - RUNS}
    doable = [item.job for item in decisions if item.job.key in done or item.decision in RUNS]
    states = JobStates(doable, done)
    order = priorities(list(states.jobs.values()), retention.reads.keys())
    sizes = {key: item.most_bytes or 0 for key, item in by_key.items()}
    unread = {
        key: {key, *readers} - done
        for key, readers in retention.readers.items()
        if key in by_key and (not by_key[key].is_let_go or by_key[key].decision in RUNS)
    }
    let_go = {key for key, left in unread.items() if not left}
    kept = sum(item.bytes or 0 for key, item in by_key.items() if key in done)
    standing = peak = kept - sum(sizes[key] for key in let_go)
    waiting = [(order[key], key) for key in states.startable()]
    heapq.heapify(waiting)
    while waiting:
        _, key = heapq.heappop(waiting)
        standing, kept = standing + sizes[key], kept + sizes[key]
        peak = max(peak, standing)
        for ready in states.finish(key):
            heapq.heappush(waiting, (order[ready], ready))
        for read in (key, *retention.reads.get(key, ())):
            left = unread.get(read)
            if left is None or read in let_go:
                continue
            left.discard(key)
            if not left:
                let_go.add(read)
                standing -= sizes[read]
    return PeakDisk(
        peak_bytes=peak,
        peak_bytes_if_kept=kept,
        let_go_bytes=sum(sizes[key] for key in let_go),
        num_let_go=len(let_go),
        num_unknown=sum(by_key[key].most_bytes is None for key in let_go),
    )
