"""Batches: short jobs that one call does in turn, so that what a call costs is paid once for all.

Only jobs of a stage whose jobs are known to be short go together, and only on what no other job
waits for. The worker begins none of them once the first ones took long (`jobs/worker/batch.py`);
those are then offered to other workers again.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pydantic import BaseModel

from cluster.executor import Ending, Outcome
from cluster.fault_classes import FaultClass
from jobs.artifacts.job import Job
from jobs.kind import KINDS
from jobs.service.key_uses import may_ask_hosts
from jobs.worker.batch import read_answers
from orchestrator.records.job_history import JobHistory

_MOST_JOBS = 64
"""Largest batch: with it a call's own cost is a small part of what as many empty jobs take."""
_MOST_S = 0.4
"""How long a batch should take: what it delays at most when jobs are to be cancelled or saved."""
_NUM_SEEN = 8
_FEWEST_SEEN = 3
"""Jobs of a stage that must have been short before others go together."""
_OVERDUE_S = 2.0
"""How long after its first job began a batch may hold jobs that have not begun."""


class Pace:
    """How long jobs of each stage take, as one launch has seen."""

    def __init__(self) -> None:
        self._seconds: dict[str, deque[float]] = {}

    def learn(self, stage: str, seconds: float) -> None:
        """Take in how long a job took, or how long it put off others of its call."""
        self._seconds.setdefault(stage, deque(maxlen=_NUM_SEEN)).append(seconds)

    def most_together(self, stage: str) -> int:
        """Return how many jobs of a stage may go together; the slowest of the latest decides."""
        seen = self._seconds.get(stage, ())
        if len(seen) < _FEWEST_SEEN:
            return 1
        return max(1, min(_MOST_JOBS, int(_MOST_S / max(*seen, 1e-3))))


def may_share_call(job: Job, past: JobHistory) -> bool:
    """Return True for a job that may be one of a batch.

    Not one that was tried before: it may be what ends the process of a call. Not one of several
    processes or workers, nor one with an accelerator, whose process ends with it. Nor one with a
    key, or with code of the study's own: those are in no process but that of the job.
    """
    needs = job.resources
    is_plain = needs.num_ranks == 1 and not needs.num_gpus and job.workers == 1
    if not is_plain or job.own_code or past.num_attempts:
        return False
    params: type[BaseModel] = KINDS.find(job.kind).Params
    return not may_ask_hosts(params)


@dataclass(kw_only=True)
class _Batch:
    attempts: Sequence[str]
    """Its attempts, in turn."""
    begun_at: float | None = None
    """When its first attempt was first seen to have begun, by the monotonic clock."""
    withdrawn: set[str] = field(default_factory=set)
    """Attempts that it will not begin any more."""


class Batches:
    """The batches that have not ended, each by the ticket of its call: its first attempt."""

    def __init__(self) -> None:
        self._batches: dict[str, _Batch] = {}
        self._tickets: dict[str, str] = {}

    def add(self, attempts: Sequence[str]) -> None:
        """Take note of a call that does several jobs."""
        self._batches[attempts[0]] = _Batch(attempts=attempts)
        self._tickets |= dict.fromkeys(attempts, attempts[0])

    def ticket(self, attempt: str) -> str:
        """Return the ticket of the call that an attempt is part of."""
        return self._tickets.get(attempt, attempt)

    def split(self, outcome: Outcome) -> Mapping[str, Outcome]:
        """Return what the end of a call means for each of its attempts.

        An attempt without an answer, where the call has returned, did not begin. Where the call
        ended otherwise, some have not either, which only the root can tell.
        """
        batch = self._batches.pop(outcome.ticket, None)
        if batch is None:
            return {outcome.ticket: outcome}
        for attempt in batch.attempts:
            del self._tickets[attempt]
        answers: list[str | None] = [None] * len(batch.attempts)
        if outcome.ending is Ending.RETURNED:
            assert outcome.answer is not None, "a call returned, and nothing came with it"
            given = read_answers(outcome.answer)
            answers[: len(given)] = given
            return {
                attempt: not_begun(attempt)
                if answer is None
                else replace(outcome, ticket=attempt, answer=answer)
                for attempt, answer in zip(batch.attempts, answers, strict=True)
            }
        return {attempt: replace(outcome, ticket=attempt) for attempt in batch.attempts}

    def overdue(self, has_begun: Callable[[str], bool]) -> Sequence[Outcome]:
        """Withdraw what has not begun of batches whose first jobs take long.

        Args:
            has_begun: tells it of one attempt.
        """
        now, outcomes = time.monotonic(), list[Outcome]()
        for batch in self._batches.values():
            if batch.begun_at is None:
                batch.begun_at = now if has_begun(batch.attempts[0]) else None
            elif now - batch.begun_at > _OVERDUE_S:
                waiting = [one for one in batch.attempts if one not in batch.withdrawn]
                late = [attempt for attempt in waiting if not has_begun(attempt)]
                batch.withdrawn.update(late)
                outcomes += [not_begun(attempt) for attempt in late]
        return outcomes


def not_begun(attempt: str, why: str = "a job before it in the same call took long") -> Outcome:
    """Make the outcome of an attempt that no worker has begun."""
    return Outcome(
        ticket=attempt,
        ending=Ending.NO_ROOM,
        error=f"it was not done: {why}",
        fault_class=FaultClass.NO_ROOM,
    )
