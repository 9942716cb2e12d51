"""`JobConsequences`: what the end of an attempt means for its job, written down and then done."""

import time
from collections.abc import Set
from dataclasses import replace

from cluster.executor import Outcome
from cluster.fault_classes import FaultClass
from cluster.fault_points import fault_point
from orchestrator.dispatch.failure_notes import FailureNotes, fields_of_ledger
from orchestrator.dispatch.job_queue import JobQueue
from orchestrator.dispatch.job_states import JobState
from orchestrator.dispatch.nodes.node_choice import NodeChoice
from orchestrator.dispatch.running_launch import RunningLaunch
from orchestrator.dispatch.submitter import Submitter
from orchestrator.dispatch.waiting.outage import OF_STORAGE, Wait
from orchestrator.dispatch.worker_messages import AttemptResult
from orchestrator.records.events import Ended
from orchestrator.records.failure import FAILURES, Consequence, Result, consequence_of
from orchestrator.records.failure_decision import explain

_LONG_RUN_S = 3600.0
"""An attempt that ran for so long was no mere try: what its job waits for after it is new."""


class JobConsequences:
    """Decides and does what follows for the jobs of a launch, and lists those that are done."""

    def __init__(
        self,
        launch: RunningLaunch,
        queue: JobQueue,
        attempts: Submitter,
        notes: FailureNotes,
        saving: Set[str],
    ) -> None:
        self.ran: list[str] = []
        """Jobs that this launch did."""
        self.reused = launch.states.in_state(JobState.DONE)
        """Jobs that were done before, or that another launch did meanwhile."""
        self.finished_at = launch.patience.clock()
        """When a job was done last, by the launch's clock."""
        self.doubts_storage = False
        """True when the root is to be tried before more is submitted: an attempt blamed it."""
        self.nodes = NodeChoice(launch.executor, launch.patience)
        """Chooses nodes by the failures that there were on them."""
        self._launch, self._queue, self._attempts, self._notes = launch, queue, attempts, notes
        self._saving = saving
        """Jobs that were asked to save because the budget is spent: they wait, and count as
        neither failed nor cancelled."""

    def reuse(self, key: str) -> None:
        """Mark a job as done by somebody else."""
        self.reused.append(key)
        self._queue.finish(key)

    def conclude(
        self,
        key: str,
        outcome: Outcome,
        attempt: AttemptResult,
        *,
        winner: str,
        seconds: float,
        held_s: float,
        num_unsettled: int,
    ) -> bool:
        """Write an ending into the ledger, and do what follows; True when the attempt failed.

        Args:
            key: of the job.
            outcome: what the executor reported of the attempt.
            attempt: how it ended.
            winner: the attempt that published the job's record; empty where none has.
            seconds: wall time from its submission to its end.
            held_s: how much of that it held its resources itself.
            num_unsettled: other attempts at the job that have ended and are not settled.
        """
        launch, past = self._launch, self._launch.journal.past
        furthest = past.of_job(key).fraction
        fault_point("settle")
        seconds = seconds if attempt.seconds is None else attempt.seconds
        if attempt.result is Result.NO_ROOM:
            seconds = 0.0
        event = Ended(
            at=time.time(),
            key=key,
            attempt=outcome.ticket,
            result=attempt.result,
            seconds=seconds,
            node=outcome.node,
            message=attempt.message,
            fraction=attempt.fraction,
            fault_class=attempt.fault_class,
            held=held_s,
            peak_gb=attempt.peak_gb,
            **fields_of_ledger(attempt),
        )
        self.nodes.note(
            key,
            launch.states.jobs[key].stage,
            node=attempt.node,
            node_id=outcome.node_id,
            result=attempt.result,
            fault_class=attempt.fault_class,
        )
        launch.journal.take_in(event)  # what follows depends on it, and is written down with it
        consequence = self._consequence(key, attempt, num_unsettled)
        event = self._with_decision(event, consequence)
        launch.journal.write_down(event)
        self._notes.tell(launch.states.jobs[key], outcome.ticket, attempt, event.decided_by)
        if attempt.result is Result.DONE and attempt.seconds is not None:
            self._attempts.running.learn(attempt.seconds)
            turn_s = attempt.seconds if attempt.turn_s is None else attempt.turn_s
            self._queue.pace.learn(launch.states.jobs[key].stage, turn_s)
        self.doubts_storage |= attempt.fault_class in OF_STORAGE
        is_new = past.of_job(key).fraction > furthest or seconds > _LONG_RUN_S
        self._follow(key, attempt, consequence, winner, is_new=is_new)
        return attempt.result in FAILURES

    def _consequence(self, key: str, attempt: AttemptResult, num_unsettled: int) -> Consequence:
        """Decide what the end of an attempt, which the history has taken in, means for its job."""
        launch, past = self._launch, self._launch.journal.past.of_job(key)
        return consequence_of(
            attempt.result,
            fault_class=attempt.fault_class,
            is_settled=launch.states.by_key[key] is not JobState.RUNNING,
            num_others=len(self._attempts.running.at_job(key)) + num_unsettled,
            is_cancelled=self._queue.is_unwanted(key),
            failures=past.failures,
            is_repeated=past.repeated is not None,
            has_elsewhere=bool(self._avoided_by(key)),
        )

    def _avoided_by(self, key: str) -> frozenset[str]:
        return self.nodes.avoided_by(key, self._launch.states.jobs[key].resources)

    def _with_decision(self, event: Ended, consequence: Consequence) -> Ended:
        """Return a failure's event with what is done about it, and why."""
        if event.result not in FAILURES:
            return event
        avoided = self._avoided_by(event.key)
        decision = explain(
            event,
            consequence,
            self._launch.journal.past.of_job(event.key),
            elsewhere=self.nodes.describe(event.key, avoided) if avoided else None,
        )
        if decision is None:
            return event
        return replace(event, decision=decision.what.value, decided_by=decision.by)

    def _follow(
        self,
        key: str,
        attempt: AttemptResult,
        consequence: Consequence,
        winner: str,
        *,
        is_new: bool,
    ) -> None:
        """Do with a job what the end of one of its attempts means for it."""
        launch, queue, attempts = self._launch, self._queue, self._attempts
        if consequence is Consequence.NONE:
            attempts.shared.take_in(key, attempt.result, attempt.fault_class)
        elif consequence is Consequence.FINISH:
            attempts.stop(key)
            # A worker that met the record may be heard before the one that published it.
            self.finished_at = launch.patience.clock()
            (self.ran if attempts.is_own(winner) else self.reused).append(key)
            queue.finish(key)
        elif consequence is Consequence.PARK:
            queue.park(key)
        elif consequence is Consequence.WAIT:
            queue.wait(key, self._wait_of(attempt), is_new=is_new)
        elif consequence is Consequence.CANCEL and key in self._saving:
            queue.retry(key)  # which the budget will not let it have in this launch
        elif consequence is Consequence.CANCEL:
            why = attempt.message or "nothing is known of what it saved"
            queue.drop(key, JobState.CANCELLED, f"cancelled while it ran: {why}")
        elif consequence is Consequence.AGAIN:
            queue.retry(key)
        else:
            attempts.stop(key)
            queue.drop(key, JobState.FAILED, attempt.message or "it failed without a message")

    def _wait_of(self, attempt: AttemptResult) -> Wait:
        return Wait(
            fault_class=attempt.fault_class or FaultClass.UNKNOWN,
            message=attempt.message or "it failed without a message",
            since=time.time(),
            began=self._launch.patience.clock(),
        )
