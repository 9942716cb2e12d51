"""Contract: a `Watcher` is called as a launch goes on, and may show it; the default does not."""

from collections.abc import Mapping

from jobs.artifacts.job import Job
from orchestrator.dispatch.job_states import JobState
from orchestrator.dispatch.outage import Wait
from orchestrator.records.failure import Result


class Watcher:
    """Follows one launch, for a terminal, a notebook or nobody."""

    def note_start(self, job: Job, attempt: str) -> None:
        """Take note that an attempt was submitted."""

    def note_end(self, job: Job, attempt: str, result: Result, message: str | None) -> None:
        """Take note that an attempt ended."""

    def note_drop(self, job: Job, state: JobState, because: str) -> None:
        """Take note that a job failed for good, or was cancelled."""

    def note_wait(self, wait: Wait | None) -> None:
        """Take note of what the launch waits for; None when it waits no more."""

    def tick(self, counts: Mapping[JobState, int]) -> None:
        """Take note of how many jobs are in which state, about twice a second."""
