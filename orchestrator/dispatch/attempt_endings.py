"""What follows when an attempt ends: its result, checked against the record; its job's state."""

import time

from cluster.executor import Outcome
from cluster.fault_classes import FaultClass
from cluster.redaction.redactor import redacted
from jobs.artifacts.job import Job
from orchestrator.dispatch.job_queue import JobQueue
from orchestrator.dispatch.job_states import JobState
from orchestrator.dispatch.running_launch import RunningLaunch
from orchestrator.dispatch.submitter import Submitter
from orchestrator.dispatch.worker_messages import AttemptResult, result_of
from orchestrator.records.attempt_progress import read_progress
from orchestrator.records.failure import FAILURES, Consequence, Result, decide
from orchestrator.records.ledger import Ended


class AttemptEndings:
    """Settles the attempts of a launch that end, and lists the jobs that are done."""

    def __init__(self, launch: RunningLaunch, queue: JobQueue, attempts: Submitter) -> None:
        self.ran: list[str] = []
        """Jobs that this launch did."""
        self.reused = launch.states.in_state(JobState.DONE)
        """Jobs that were done before, or that another launch did meanwhile."""
        self._launch = launch
        self._queue = queue
        self._attempts = attempts

    def reuse(self, key: str) -> None:
        """Mark a job as done by somebody else."""
        self.reused.append(key)
        self._queue.finish(key)

    def settle(self, outcome: Outcome, *, is_ending: bool) -> str | None:
        """Write down how an attempt ended, and do what follows for its job.

        Args:
            outcome: what the executor reports.
            is_ending: whether the whole launch was cancelled or interrupted.

        Returns:
            The key of a job that is to be tried again, else None.
        """
        key, seconds = self._attempts.running.remove(outcome.ticket)
        job = self._launch.states.jobs[key]
        attempt = self._check(job, outcome, is_ending=is_ending)
        self._launch.journal.append(
            Ended(
                at=time.time(),
                key=key,
                attempt=outcome.ticket,
                result=attempt.result,
                seconds=seconds if attempt.seconds is None else attempt.seconds,
                node=outcome.node,
                message=attempt.message,
                fraction=attempt.fraction,
                fault_class=attempt.fault_class,
            )
        )
        self._launch.watcher.note_end(job, outcome.ticket, attempt.result, attempt.message)
        if attempt.result is Result.DONE and attempt.seconds is not None:
            self._attempts.running.learn(attempt.seconds)
        is_again = self._conclude(key, attempt) is Consequence.AGAIN
        return key if is_again else None

    def _check(self, job: Job, outcome: Outcome, *, is_ending: bool) -> AttemptResult:
        """Read an outcome, check it against the record, and remove secrets from its message."""
        attempt, fraction = result_of(outcome), None
        result, message, fault_class = attempt.result, attempt.message, attempt.fault_class
        is_stopped = is_ending or self._attempts.was_stopped(outcome.ticket)
        if result in (Result.DONE, Result.REUSED):
            if self._launch.records.winner(job) is None:
                result, fault_class = Result.ERROR, FaultClass.PROGRAM
                message = "it reported success but left no valid record"
        elif self._launch.states.by_key[job.key] is JobState.DONE:
            # Workers that shared a job are stopped once it has a record: however they end, it is.
            result, message, fault_class = Result.REUSED, None, None
        elif result is Result.CANCELLED and not is_stopped:
            result, fault_class = Result.PREEMPTED, FaultClass.PREEMPTED
            message = f"stopped from outside: {message or 'its machine was wanted back'}"
        if result in FAILURES:
            progress = read_progress(self._launch.assigner.storage, job, [outcome.ticket])
            fraction = progress.fraction
        return AttemptResult(
            result=result,
            seconds=attempt.seconds,
            message=redacted(message) if message else None,
            fraction=fraction,
            fault_class=fault_class,
        )

    def _conclude(self, key: str, attempt: AttemptResult) -> Consequence:
        launch, queue, attempts = self._launch, self._queue, self._attempts
        consequence = decide(
            attempt.result,
            fault_class=attempt.fault_class,
            is_settled=launch.states.by_key[key] is not JobState.RUNNING,
            num_others=len(attempts.running.at_job(key)),
            is_cancelled=queue.is_unwanted(key),
            failures=launch.journal.past.of_job(key).failures,
        )
        if consequence is Consequence.NONE:
            attempts.shared.take_in(key, attempt.result, attempt.fault_class)
        elif consequence is Consequence.FINISH:
            attempts.stop(key)
            # A worker that met the record may be heard before the one that published it.
            winner = launch.records.winner(launch.states.jobs[key]) or ""
            (self.ran if attempts.is_own(winner) else self.reused).append(key)
            queue.finish(key)
        elif consequence in (Consequence.PARK, Consequence.WAIT):
            queue.park(key)
        elif consequence is Consequence.CANCEL:
            queue.drop(key, JobState.CANCELLED, "cancelled while it ran")
        elif consequence is Consequence.AGAIN:
            launch.states.put_back(key)
        else:
            attempts.stop(key)
            queue.drop(key, JobState.FAILED, attempt.message or "it failed without a message")
        return consequence
