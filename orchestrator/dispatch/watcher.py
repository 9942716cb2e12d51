"""Contract: a `Watcher` is called as a launch goes on, and may show it; the default does not."""

from collections.abc import Mapping

from jobs.artifacts.job import Job
from orchestrator.dispatch.job_states import JobState
from orchestrator.dispatch.nodes.quarantine import Quarantined
from orchestrator.dispatch.waiting.outage import Wait
from orchestrator.records.failure import Result


class Watcher:
    """Follows one launch, for a terminal, a notebook or nobody."""

    def note_start(self, job: Job, attempt: str) -> None:
        """Take note that an attempt was submitted."""

    def note_end(self, job: Job, attempt: str, result: Result, message: str | None) -> None:
        """Take note that an attempt ended."""

    def note_liveness(self, job: Job, attempt: str, text: str) -> None:
        """Take note that a running attempt is slow, silent or hung, and why."""

    def note_drop(self, job: Job, state: JobState, because: str) -> None:
        """Take note that a job failed for good, or was cancelled."""

    def note_wait(self, wait: Wait | None) -> None:
        """Take note of what the launch waits for; None when it waits no more."""

    def note_quarantine(self, quarantined: Quarantined) -> None:
        """Take note that a node gets no jobs for a while, or gets them again."""

    def note_line(self, text: str) -> None:
        """Take note of something worth one line."""

    def tick(self, counts: Mapping[JobState, int]) -> None:
        """Take note of how many jobs are in which state, about twice a second."""


class BothWatchers(Watcher):
    """Has two watchers follow one launch: the first hears of everything before the second."""

    def __init__(self, first: Watcher, second: Watcher) -> None:
        self._both = (first, second)

    def note_start(self, job: Job, attempt: str) -> None:
        """Hand on."""
        for watcher in self._both:
            watcher.note_start(job, attempt)

    def note_end(self, job: Job, attempt: str, result: Result, message: str | None) -> None:
        """Hand on."""
        for watcher in self._both:
            watcher.note_end(job, attempt, result, message)

    def note_liveness(self, job: Job, attempt: str, text: str) -> None:
        """Hand on."""
        for watcher in self._both:
            watcher.note_liveness(job, attempt, text)

    def note_drop(self, job: Job, state: JobState, because: str) -> None:
        """Hand on."""
        for watcher in self._both:
            watcher.note_drop(job, state, because)

    def note_wait(self, wait: Wait | None) -> None:
        """Hand on."""
        for watcher in self._both:
            watcher.note_wait(wait)

    def note_quarantine(self, quarantined: Quarantined) -> None:
        """Hand on."""
        for watcher in self._both:
            watcher.note_quarantine(quarantined)

    def note_line(self, text: str) -> None:
        """Hand on."""
        for watcher in self._both:
            watcher.note_line(text)

    def tick(self, counts: Mapping[JobState, int]) -> None:
        """Hand on."""
        for watcher in self._both:
            watcher.tick(counts)
