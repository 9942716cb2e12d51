"""The state of every job of a launch, and what the end of one means for the others."""

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from enum import Enum

from jobs.artifacts.job import Job
from orchestrator.dispatch.policy import needs
from orchestrator.plan.retention import keys_behind


class JobState(Enum):
    """The state of one job in this launch."""

    WAITING = "waiting"
    """The job waits for jobs it needs, or for its turn."""
    RUNNING = "running"
    """An attempt is submitted."""
    DONE = "done"
    """The job has a valid record."""
    FAILED = "failed"
    """The job will not be tried again."""
    CANCELLED = "cancelled"
    """Somebody asked for the job not to run in this launch."""
    BLOCKED = "blocked"
    """The job needs one that failed, was cancelled, or is not part of this launch."""


def keys_needed(job: Job, jobs: Mapping[str, Job]) -> set[str]:
    """Return the keys of what must be there before a job starts.

    Of a model that only refers to others that is these, too: they may have been let go.

    Args:
        job: the job.
        jobs: key -> job, of all that are behind it.
    """
    return needs(job) if job.gathers else needs(job) | keys_behind(job, jobs)


class JobStates:
    """All jobs of a launch and their states, by key; two cells with equal work are one job."""

    def __init__(self, jobs: Sequence[Job], done: Set[str]) -> None:
        self.jobs: dict[str, Job] = {}
        for job in jobs:
            self.jobs.setdefault(job.key, job)
        self.by_key = {key: JobState.DONE if key in done else JobState.WAITING for key in self.jobs}
        self.because: dict[str, str] = {}
        self._unmet: dict[str, set[str]] = {}
        self._dependants: dict[str, list[str]] = {}
        self._counts = Counter(self.by_key.values())
        for key, job in self.jobs.items():
            if self.by_key[key] is JobState.WAITING:
                self._link(key, keys_needed(job, self.jobs) - done)

    def _link(self, key: str, unmet: set[str]) -> None:
        self._unmet[key] = unmet
        for upstream in unmet:
            self._dependants.setdefault(upstream, []).append(key)

    @property
    def counts(self) -> Mapping[JobState, int]:
        """Number of jobs in each state."""
        return self._counts

    @property
    def unsettled(self) -> int:
        """Number of jobs that are neither done nor dropped."""
        return self._counts[JobState.WAITING] + self._counts[JobState.RUNNING]

    def in_state(self, state: JobState) -> list[str]:
        """Return the keys of the jobs in a state, in the plan's order."""
        return [key for key, now in self.by_key.items() if now is state]

    def startable(self) -> list[str]:
        """Return the keys of waiting jobs whose inputs are all done, in the plan's order."""
        return [key for key in self.in_state(JobState.WAITING) if not self._unmet[key]]

    def block_strays(self) -> None:
        """Block the jobs that need one that is neither done nor part of this launch."""
        for key in self.in_state(JobState.WAITING):
            # Not a difference with `keys()`: that goes through all of them, for each job.
            strays = sorted(upstream for upstream in self._unmet[key] if upstream not in self.jobs)
            if strays and self.by_key[key] is JobState.WAITING:
                self._move(key, JobState.BLOCKED)
                self.because[key] = f"it needs {strays[0][:16]}, which this launch does not include"
                self._block_below(key)

    def start(self, key: str) -> None:
        """Mark a job as running."""
        self._move(key, JobState.RUNNING)

    def put_back(self, key: str) -> None:
        """Return a job to the waiting ones."""
        self._move(key, JobState.WAITING)

    def finish(self, key: str) -> list[str]:
        """Mark a job as done; return the keys of the jobs that can start now."""
        self._move(key, JobState.DONE)
        startable = []
        for dependant in self._dependants.get(key, ()):
            self._unmet[dependant].discard(key)
            if not self._unmet[dependant] and self.by_key[dependant] is JobState.WAITING:
                startable.append(dependant)
        return startable

    def drop(self, key: str, state: JobState, because: str) -> list[str]:
        """Mark a job as failed or cancelled; return the keys of the jobs that this blocks."""
        self._move(key, state)
        self.because[key] = because
        return self._block_below(key)

    def revive(self, keys: Set[str]) -> list[str]:
        """Let jobs wait again that failed or were cancelled, and what they block.

        Returns:
            Those that can start now, in the plan's order.
        """
        revived = []
        for key, job in self.jobs.items():  # upstream first
            state = self.by_key[key]
            is_chosen = key in keys and state in (JobState.FAILED, JobState.CANCELLED)
            if is_chosen or (state is JobState.BLOCKED and not self._is_blocked(job)):
                self._move(key, JobState.WAITING)
                del self.because[key]
                revived.append(key)
        return [key for key in revived if not self._unmet[key]]

    def _is_blocked(self, job: Job) -> bool:
        """Tell whether an input that is missing will not come in this launch."""
        ended = (JobState.FAILED, JobState.CANCELLED, JobState.BLOCKED, None)
        return any(self.by_key.get(upstream) in ended for upstream in self._unmet[job.key])

    def _block_below(self, key: str) -> list[str]:
        blocked = []
        below = [key]
        while below:
            upstream = below.pop()
            for dependant in self._dependants.get(upstream, ()):
                if self.by_key[dependant] is JobState.WAITING:
                    self._move(dependant, JobState.BLOCKED)
                    self.because[dependant] = self._reason_of_block(upstream)
                    blocked.append(dependant)
                    below.append(dependant)
        return blocked

    def _reason_of_block(self, upstream: str) -> str:
        return f"{self.jobs[upstream].label} is {self.by_key[upstream].value}"

    def _move(self, key: str, state: JobState) -> None:
        self._counts[self.by_key[key]] -= 1
        self._counts[state] += 1
        self.by_key[key] = state
