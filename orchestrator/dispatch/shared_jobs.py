"""Crews: running jobs that several workers may share, and which of them gets one more.

A crew grows only on what no ready job waits for, so sharing never delays another job.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from jobs.artifacts.job import Job
from orchestrator.dispatch.in_flight import InFlight
from orchestrator.dispatch.policy import Load, Offer, Priority, may_join
from orchestrator.records.failure import RETRIES, Result, Verdict, decide


class Crews:
    """The jobs of a launch that several workers may share."""

    def __init__(self, jobs: Iterable[Job], priorities: Mapping[str, Priority]) -> None:
        self._jobs = {job.key: job for job in jobs if job.workers > 1}
        self._priorities = priorities
        self._failures: dict[str, Counter[Result]] = {}
        self._closed: set[str] = set()

    def close(self, key: str) -> None:
        """Nobody joins this job any more."""
        self._closed.add(key)

    def ended(self, key: str, result: Result) -> None:
        """A worker ended while others are at the job: after too many failures nobody replaces it.

        One that found another launch alone at the job is not replaced either.
        """
        if result is Result.BUSY:
            self.close(key)
        elif result in RETRIES:
            failures = self._failures.setdefault(key, Counter())
            failures[result] += 1
            if decide(failures) is Verdict.GIVE_UP:
                self.close(key)

    def growing(self, running: InFlight, waiting: Sequence[Offer], load: Load) -> str | None:
        """Key of the job that one more worker may join now: the one with fewest workers first."""
        found = [
            (len(crew), self._priorities[key], key)
            for key in running.jobs
            if (job := self._jobs.get(key)) is not None
            and len(crew := running.crew(key)) < job.workers
            and key not in self._closed
            and may_join(job.resources, waiting, load)
        ]
        return min(found)[2] if found else None
