"""Contract: a `Watcher` is told what a launch does, as it does it."""

from collections.abc import Mapping
from typing import Protocol

from jobs.artifacts.job import Job
from orchestrator.dispatch.job_states import JobState
from orchestrator.records.failure import Result


class Watcher(Protocol):
    """Whoever wants to see a launch: a terminal, a notebook, nobody."""

    def started(self, job: Job, attempt: str) -> None:
        """One attempt was submitted."""

    def ended(self, job: Job, attempt: str, result: Result, message: str | None) -> None:
        """One attempt ended."""

    def dropped(self, job: Job, state: JobState, because: str) -> None:
        """A job failed for good, or was cancelled."""

    def tick(self, counts: Mapping[JobState, int]) -> None:
        """Some time passed; how many jobs stand where."""


class Nobody:
    """Sees nothing."""

    def started(self, job: Job, attempt: str) -> None:
        """Unseen."""

    def ended(self, job: Job, attempt: str, result: Result, message: str | None) -> None:
        """Unseen."""

    def dropped(self, job: Job, state: JobState, because: str) -> None:
        """Unseen."""

    def tick(self, counts: Mapping[JobState, int]) -> None:
        """Unseen."""
