"""`AttemptEndings`: how the attempts of a launch ended, checked against the records of their jobs.

What that means for the jobs is `job_consequences.py`.
"""

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import zip_longest

from cluster.disk.disk_faults import ForeignEntry
from cluster.executor import Ending, Outcome
from cluster.fault_classes import FaultClass
from cluster.redaction.redactor import redacted
from jobs.artifacts.artifact import Artifact
from jobs.artifacts.job import Job
from orchestrator.dispatch.batches import not_begun
from orchestrator.dispatch.failure_notes import FailureNotes
from orchestrator.dispatch.hang_watch import HangWatch
from orchestrator.dispatch.job_consequences import JobConsequences
from orchestrator.dispatch.running_launch import RunningLaunch
from orchestrator.dispatch.submitter import Submitter
from orchestrator.dispatch.worker_messages import AttemptResult, result_of
from orchestrator.records.attempt_progress import Stop, read_progress, what_was_saved
from orchestrator.records.failure import FAILURES, Result

_LONGEST_LOOK_S = 5.0
"""Longest pause between two looks for a record that is not visible yet."""


@dataclass(kw_only=True)
class _Heard:
    """An attempt that has ended and is not settled yet."""

    outcome: Outcome
    """What the executor reports."""
    call: str
    """Ticket of the call that it was part of."""
    is_alone: bool
    """Whether the call had no other attempt."""
    next_in_call: tuple[str, str] | None
    """The attempt that the call would begin after it, and the key of its job; None: none."""
    key: str
    """Key of the job."""
    seconds: float
    """Wall time from its submission to its end."""
    held_s: float
    """How much of that it held its resources itself; 0 where another of its call did."""
    heard_at: float
    """When its end was heard of, by the launch's clock."""
    look_at: float
    """When its record is looked for again."""
    num_looks: int = 0
    """How often its record was looked for in vain."""


class AttemptEndings:
    """Settles the attempts of a launch that end.

    What an attempt held is free at once, in `take`. It is settled by `settle`, which reads the
    storage first and changes nothing before it has read all: where the storage does not answer, the
    ending waits.
    """

    def __init__(
        self,
        launch: RunningLaunch,
        attempts: Submitter,
        consequences: JobConsequences,
        notes: FailureNotes,
    ) -> None:
        self.watch = HangWatch(launch, attempts)
        """Ends what hangs."""
        self._launch = launch
        self._attempts = attempts
        self._consequences = consequences
        self._notes = notes
        self._heard: list[_Heard] = []
        self._num_heard = Counter[str]()
        """Key of a job -> how many of its attempts have ended and are not settled."""

    def take(self, outcome: Outcome) -> None:
        """Free what an attempt held that has ended; `settle` does what follows for its job."""
        if self.watch.take(outcome):
            return
        now = self._launch.patience.clock()
        of_attempts = self._attempts.batches.split(outcome)
        # Not there: its submission failed, and never counted; or it was withdrawn.
        begun = [attempt for attempt in of_attempts if attempt in self._attempts.running]
        keys = {attempt: self._attempts.running[attempt].key for attempt in begun}
        for attempt, after in zip_longest(begun, begun[1:]):
            own = of_attempts[attempt]
            running, seconds = self._attempts.running.remove(attempt)
            self._num_heard[running.key] += 1
            self._heard.append(
                _Heard(
                    outcome=own,
                    call=outcome.ticket,
                    is_alone=len(of_attempts) == 1,
                    next_in_call=(after, keys[after]) if after else None,
                    key=running.key,
                    seconds=seconds,
                    held_s=seconds if running.holds else 0.0,
                    heard_at=now,
                    look_at=now,
                )
            )

    def withdraw_overdue(self) -> None:
        """Offer to other workers what has not begun of calls whose first jobs take long."""

        def has_begun(attempt: str) -> bool:
            running = self._attempts.running.get(attempt)
            return running is None or self._has_begun(attempt, running.key)

        for outcome in self._attempts.batches.overdue(has_begun):
            self.take(outcome)

    def _has_begun(self, attempt: str, key: str) -> bool:
        """Tell whether a worker has made the folder of an attempt, as it does first of all."""
        job, storage = self._launch.states.jobs[key], self._launch.assigner.storage
        return storage.exists(Artifact(storage, job.kind, key).attempt_folder(attempt))

    @property
    def has_unsettled(self) -> bool:
        """True while what follows from some ending is still to be done."""
        return bool(self._heard)

    def settle(self, *, is_ending: bool) -> bool:
        """Write down how attempts ended, and do what follows for their jobs.

        Args:
            is_ending: whether the whole launch was cancelled or interrupted.

        Returns:
            True when any has failed: its node may be gone.

        Raises:
            SurroundingsError: the storage does not answer; what is not settled is so the next time.
        """
        has_failed = False
        for heard in list(self._heard):
            if self._launch.patience.clock() < heard.look_at:
                continue
            job = self._launch.states.jobs[heard.key]
            winner = self._find_winner(job, heard)
            if winner is None and self._notes.awaits_witness(job, heard.outcome, heard.heard_at):
                continue
            attempt = self._check(job, heard, winner, is_ending=is_ending)
            if attempt is None and self._looks_again(heard):
                continue
            self._forget(heard)
            has_failed |= self._consequences.conclude(
                heard.key,
                heard.outcome,
                attempt or _LEFT_NOTHING,
                winner=winner or "",
                seconds=heard.seconds,
                held_s=heard.held_s,
                num_unsettled=self._num_heard[heard.key],
            )
        return has_failed

    def _looks_again(self, heard: _Heard) -> bool:
        """Put off the end of an attempt whose record is not visible yet, while it may still be."""
        patience = self._launch.patience
        now, heard.num_looks = patience.clock(), heard.num_looks + 1
        heard.look_at = now + min(_LONGEST_LOOK_S, 0.5 * 2.0 ** min(heard.num_looks, 10))
        return now < heard.heard_at + patience.visible_within_s

    def _find_winner(self, job: Job, heard: _Heard) -> str | None:
        """Return the attempt that published the job's record; None where none is to be seen.

        A record is believed whatever is said of the attempt, but for one that this launch makes
        again and that nobody has made again yet.
        """
        if heard.num_looks:
            # A folder that is listed is asked for anew, and with it what was seen to be missing.
            with suppress(ForeignEntry):  # it stands where the job's folder was: no record either
                self._launch.assigner.storage.list(job.folder)
        return self._launch.records.fresh_winner(job)

    def _check(
        self, job: Job, heard: _Heard, winner: str | None, *, is_ending: bool
    ) -> AttemptResult | None:
        """Return how an attempt ended, without secrets; None where its record is not there yet."""
        is_stopped = is_ending or self._attempts.was_stopped(heard.outcome.ticket)
        outcome = self.watch.ending.as_it_ended(heard.outcome, is_stopped=is_stopped)
        attempt = result_of(outcome)
        if winner is not None:
            result = Result.DONE if winner == outcome.ticket else Result.REUSED
            if attempt.result is Result.DONE:
                result = Result.DONE
            return replace(attempt, result=result, message=None, fault_class=None)
        if attempt.result in (Result.DONE, Result.REUSED):
            return None
        if self._is_cut_off(heard, job):
            return result_of(not_begun(outcome.ticket, "its call ended at another job"))
        if not is_stopped and self._attempts.is_displaced(outcome.ticket):
            attempt = _as_displaced(attempt)
        elif (
            not is_stopped
            and attempt.result is Result.CANCELLED
            and (self._attempts.was_interrupted(heard.call))
        ):
            return result_of(not_begun(outcome.ticket, "a job of the same call was cancelled"))
        elif attempt.result is Result.CANCELLED and not is_stopped:
            attempt = replace(
                attempt,
                result=Result.PREEMPTED,
                fault_class=FaultClass.PREEMPTED,
                message=f"stopped from outside: {attempt.message or 'its machine was wanted back'}",
            )
        if attempt.result is Result.CANCELLED:
            has_begun = self._has_begun(outcome.ticket, job.key)
            stop = Stop.SAVED if attempt.has_saved else Stop.INTERRUPTED
            stop = stop if outcome.ending is Ending.RETURNED else Stop.ENDED
            saved = what_was_saved(self._launch.assigner.storage, job, outcome.ticket, stop)
            attempt = replace(attempt, message=saved if has_begun else "cancelled before it began")
        if attempt.result in FAILURES:
            progress = read_progress(self._launch.assigner.storage, job, [outcome.ticket])
            seconds = heard.seconds if attempt.seconds is None else attempt.seconds
            attempt = replace(attempt, fraction=progress.fraction)
            attempt = self._notes.diagnosed(job, outcome, attempt, seconds)
        return replace(attempt, message=redacted(attempt.message) if attempt.message else None)

    def _is_cut_off(self, heard: _Heard, job: Job) -> bool:
        """Return True where a call of several jobs ended before this one began, or after it.

        It ended at the last one that it began. What those before it did was not all published.
        """
        if heard.is_alone or heard.outcome.ending in (Ending.RETURNED, Ending.NO_ROOM):
            return False
        after = heard.next_in_call
        return not self._has_begun(heard.outcome.ticket, job.key) or (
            after is not None and self._has_begun(*after)
        )

    def _forget(self, heard: _Heard) -> None:
        self._heard.remove(heard)
        self._num_heard[heard.key] -= 1
        if not self._num_heard[heard.key]:
            del self._num_heard[heard.key]


def _as_displaced(attempt: AttemptResult) -> AttemptResult:
    """Return the end of an attempt whose node is gone, whether it was told so or just died."""
    if attempt.result not in (Result.CANCELLED, Result.LOST, Result.PREEMPTED):
        return attempt
    return replace(
        attempt,
        result=Result.LOST,
        fault_class=FaultClass.LOST_NODE,
        message=f"the node that held it has gone: {attempt.message or 'it was stopped'}",
    )


_LEFT_NOTHING = AttemptResult(
    result=Result.ERROR,
    message="it reported success but left no valid record",
    fault_class=FaultClass.PROGRAM,
)
