"""Hands the attempts of a launch to its executor, and stops them."""

from collections.abc import Sequence
from contextlib import suppress

from cluster.errors import SurroundingsError
from cluster.machine.resources import Resources
from jobs.artifacts.job import Job
from jobs.kind import Fit
from orchestrator.dispatch.policy import Load, Offer
from orchestrator.dispatch.running_attempts import RunningAttempts, SharedJobs
from orchestrator.dispatch.running_launch import RunningLaunch
from orchestrator.dispatch.worker_messages import ENTRY
from orchestrator.plan.fitting import submitted_event
from orchestrator.plan.machines import can_hold


class Submitter:
    """Submits attempts at jobs, more than one where workers may share a job, and stops them."""

    def __init__(self, launch: RunningLaunch, shared: SharedJobs) -> None:
        self.running = RunningAttempts(launch.patience.clock)
        self.shared = shared
        self.num_attempts = 0
        self._launch = launch
        self._stopped: set[str] = set()
        self._displaced: set[str] = set()

    def submit(self, job: Job, layout: Fit | None) -> None:
        """Submit an attempt: the first at a job, or one more that shares it.

        Raises SurroundingsError where the machines have gone, or the study's lock is not surely
        held; then nothing was submitted.
        """
        self._launch.held.check()
        attempt = f"{self._launch.id}-{self.num_attempts + 1:06d}"
        worker = self.running.add(attempt, job.key, job.resources)
        try:
            assignment = self._launch.assigner.assignment(job, attempt, worker, layout)
            payload = assignment.to_json()
            self._launch.executor.submit(attempt, ENTRY, payload, job.resources)
        except Exception:
            self.running.remove(attempt)
            raise
        self.num_attempts += 1
        self._launch.journal.append(submitted_event(job, attempt, layout, self._launch.prices))
        self._launch.watcher.note_start(job, attempt)

    def next_to_join(self, waiting: Sequence[Offer], load: Load) -> str | None:
        """Choose the running job that one more worker may join now."""
        return self.shared.next_to_join(self.running, waiting, load)

    def stop(self, key: str) -> None:
        """Ask all attempts at a job to stop; none joins them any more."""
        self.shared.close(key)
        for attempt in self.running.at_job(key):
            self._stopped.add(attempt)
            with suppress(SurroundingsError):  # the machines have gone, and the attempt with them
                self._launch.executor.cancel(attempt)

    def was_stopped(self, attempt: str) -> bool:
        """Return True when this launch asked the attempt to stop."""
        return attempt in self._stopped

    def is_displaced(self, attempt: str) -> bool:
        """Return True when the attempt was cancelled because no node is left that holds it."""
        return attempt in self._displaced

    def is_own(self, attempt: str) -> bool:
        """Return True for an attempt of this launch."""
        return attempt.startswith(self._launch.id)

    def cancel_unplaceable(self, nodes: Sequence[Resources]) -> None:
        """Cancel what no node can hold: its node is gone, and it would wait for ever."""
        for attempt, running in self.running.items():
            if not can_hold(nodes, running.resources):
                self._displaced.add(attempt)
                self._launch.executor.cancel(attempt)
