"""Hands the attempts of a launch to its executor, and stops them."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from cluster.errors import SurroundingsError
from cluster.fault_points import fault_point
from cluster.machine.resources import Resources
from jobs.artifacts.job import Job
from jobs.kind import Fit
from jobs.worker.batch import batch_payload
from orchestrator.dispatch.batches import Batches
from orchestrator.dispatch.policy import Load, Offer
from orchestrator.dispatch.running_attempts import RunningAttempts, SharedJobs
from orchestrator.dispatch.running_launch import RunningLaunch
from orchestrator.dispatch.worker_messages import BATCH_ENTRY, ENTRY
from orchestrator.plan.fitting import submitted_event
from orchestrator.plan.machines import can_hold


class Submitter:
    """Submits attempts at jobs, more than one where workers may share a job, and stops them."""

    def __init__(self, launch: RunningLaunch, shared: SharedJobs) -> None:
        self.running = RunningAttempts(launch.patience.clock)
        self.shared = shared
        self.num_attempts = 0
        self._launch = launch
        self.batches = Batches()
        self._stopped: set[str] = set()
        self._interrupted: set[str] = set()
        self._displaced: set[str] = set()

    def submit(
        self, jobs: Sequence[tuple[Job, Fit | None]], avoided: frozenset[str] = frozenset()
    ) -> None:
        """Submit an attempt at each job, all in one call: the first, or one more that shares it.

        Args:
            jobs: each with its layout.
            avoided: nodes that the call is not sent to.

        Raises SurroundingsError where the machines have gone, or the study's lock is not surely
        held; then nothing was submitted.
        """
        self._launch.held.check()
        fault_point("submit")
        attempts, payloads = list[str](), list[str]()
        try:
            for number, (job, layout) in enumerate(jobs, self.num_attempts + 1):
                attempt = f"{self._launch.id}-{number:06d}"
                worker = self.running.add(attempt, job.key, job.resources, holds=not attempts)
                attempts.append(attempt)
                assignment = self._launch.assigner.assignment(job, attempt, worker, layout)
                payloads.append(assignment.to_json())
            entry, payload = ENTRY, payloads[0]
            if len(payloads) > 1:
                entry, payload = BATCH_ENTRY, batch_payload(payloads)
            options = {"avoided": avoided} if avoided else {}
            resources = jobs[0][0].resources
            self._launch.executor.submit(attempts[0], entry, payload, resources, **options)
        except Exception:
            for attempt in attempts:
                self.running.remove(attempt)
            raise
        if len(attempts) > 1:
            self.batches.add(attempts)
        self.num_attempts += len(attempts)
        for attempt, (job, layout) in zip(attempts, jobs, strict=True):
            event = submitted_event(job, attempt, layout, self._launch.prices)
            if attempt != attempts[0] and event.price is not None:
                event = replace(event, price=0.0)  # the first one's price is that of the call
            self._launch.journal.append(event)
            self._launch.watcher.note_start(job, attempt)

    def next_to_join(self, waiting: Sequence[Offer], load: Load) -> str | None:
        """Choose the running job that one more worker may join now."""
        return self.shared.next_to_join(self.running, waiting, load)

    def stop(self, key: str, *, within_s: float | None = None) -> None:
        """Ask all attempts at a job to stop; none joins them any more.

        Args:
            key: of the job.
            within_s: how long they may save, where that is longer than the executor gives.
        """
        self.shared.close(key)
        for attempt in self.running.at_job(key):
            self._stopped.add(attempt)
            ticket = self.batches.ticket(attempt)
            self._interrupted.add(ticket)
            with suppress(SurroundingsError):  # the machines have gone, and the attempt with them
                self._launch.executor.cancel(ticket, within_s=within_s)

    def was_stopped(self, attempt: str) -> bool:
        """Return True when this launch asked the attempt to stop."""
        return attempt in self._stopped

    def was_interrupted(self, ticket: str) -> bool:
        """Return True when this launch asked a call to stop, for the sake of any of its jobs."""
        return ticket in self._interrupted

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
                self._launch.executor.cancel(self.batches.ticket(attempt))
