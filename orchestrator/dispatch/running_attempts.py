"""The attempts that an executor has now: what they hold, and which jobs may get one more worker."""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from cluster.fault_classes import FaultClass
from cluster.machine.resources import Resources
from jobs.artifacts.job import Job
from orchestrator.dispatch.policy import Load, Offer, Priority, may_join
from orchestrator.dispatch.waiting.patience import Patience
from orchestrator.records.failure import WAITED_FOR, Result, has_spent_retries

_MORE_AHEAD = 2
"""Queued jobs beyond one for each slot: with them, workers never wait for the dispatcher."""
_QUEUE_BELOW_S = 1.0
"""Only jobs as short as this are queued: behind longer ones a queue gains nothing, and hides what
really runs."""
_WEIGHT_OF_LATEST = 0.2


@dataclass(frozen=True, kw_only=True)
class RunningAttempt:
    """One submitted attempt."""

    key: str
    """Key of the job."""
    resources: Resources
    """What the attempt needs."""
    worker: int
    """Number of the attempt among those that share the job, from 0."""
    holds: bool
    """Whether it holds its resources itself; False in a call that does several jobs in turn."""
    since: float
    """When it was submitted, by the launch's clock."""

    @property
    def held(self) -> Resources:
        """What it holds by itself."""
        return self.resources if self.holds else Resources(num_cpus=0)


class RunningAttempts(Mapping[str, RunningAttempt]):
    """Submitted attempts by id, and what they hold together."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._attempts: dict[str, RunningAttempt] = {}
        self._by_job: dict[str, list[str]] = {}
        self._shapes: Counter[Resources] = Counter()
        self._in_use = Resources(num_cpus=0)
        self._typical_s: float | None = None

    def __getitem__(self, attempt: str) -> RunningAttempt:
        return self._attempts[attempt]

    def __iter__(self) -> Iterator[str]:
        return iter(self._attempts)

    def __len__(self) -> int:
        return len(self._attempts)

    def add(self, attempt: str, key: str, resources: Resources, *, holds: bool = True) -> int:
        """Add a submitted attempt; return its number among those at the job, the smallest free.

        Args:
            attempt: its id.
            key: of its job.
            resources: what it needs.
            holds: False where it runs on what an attempt before it in the same call holds.
        """
        taken = {self._attempts[other].worker for other in self.at_job(key)}
        worker = next(number for number in range(len(taken) + 1) if number not in taken)
        self._attempts[attempt] = RunningAttempt(
            key=key, resources=resources, worker=worker, holds=holds, since=self._clock()
        )
        self._by_job.setdefault(key, []).append(attempt)
        if holds:
            self._shapes[resources] += 1
            self._in_use = self._in_use.plus(resources)
        return worker

    def remove(self, attempt: str) -> tuple[RunningAttempt, float]:
        """Remove an attempt that ended; return what it was, and seconds since submission."""
        ended = self._attempts.pop(attempt)
        self._by_job[ended.key].remove(attempt)
        if not self._by_job[ended.key]:
            del self._by_job[ended.key]
        if ended.holds:
            self._in_use = self._in_use.minus(ended.resources)
            self._shapes[ended.resources] -= 1
            if not self._shapes[ended.resources]:
                del self._shapes[ended.resources]
        if not self._attempts:
            self._in_use = Resources(num_cpus=0)  # drops rounding errors of fractions of a GPU
        return ended, round(self._clock() - ended.since, 3)

    def learn(self, seconds: float) -> None:
        """Take in how long a job took; the latest ones decide whether to queue."""
        before = seconds if self._typical_s is None else self._typical_s
        self._typical_s = before + _WEIGHT_OF_LATEST * (seconds - before)

    @property
    def jobs(self) -> Sequence[str]:
        """Keys of the jobs that some attempt is at."""
        return tuple(self._by_job)

    def at_job(self, key: str) -> Sequence[str]:
        """Return the ids of the attempts that are at a job."""
        return tuple(self._by_job.get(key, ()))

    def load(self, capacity: Resources, nodes: Sequence[Resources] | None = None) -> Load:
        """Sum up what the policy needs; `nodes` is what each has left, where that matters."""
        slots = 0
        if len(self._shapes) == 1:
            (shape,) = self._shapes
            slots = shape.times_in(capacity)
        return Load(
            capacity=capacity,
            in_use=self._in_use,
            shapes=frozenset(self._shapes),
            num_ahead=max(0, self._shapes.total() - slots),
            most_ahead=slots + _MORE_AHEAD if self._is_short() else 0,
            nodes=nodes,
        )

    def _is_short(self) -> bool:
        return self._typical_s is not None and self._typical_s < _QUEUE_BELOW_S


class SharedJobs:
    """The jobs of a launch that several workers may share.

    A running job gets one more worker only on what no ready job waits for, so sharing never delays
    another job.
    """

    def __init__(
        self, jobs: Iterable[Job], priorities: Mapping[str, Priority], patience: Patience
    ) -> None:
        self._jobs = {job.key: job for job in jobs if job.workers > 1}
        self._priorities = priorities
        self._failures: dict[str, Counter[FaultClass]] = {}
        self._closed: set[str] = set()
        self._not_before: dict[str, float] = {}
        self._patience = patience

    def close(self, key: str) -> None:
        """Let no more workers join a job."""
        self._closed.add(key)

    def reopen(self, keys: Set[str]) -> None:
        """Let workers join jobs again, as if none had failed."""
        self._closed -= keys
        for key in keys:
            self._failures.pop(key, None)
            self._not_before.pop(key, None)

    def take_in(self, key: str, result: Result, fault_class: FaultClass | None) -> None:
        """Take in how one worker ended while others go on: after too many failures, none joins.

        None joins either after one that found another launch alone at the job; and after a fault
        of the surroundings one joins only after a pause that grows.
        """
        if result is Result.BUSY:
            self.close(key)
        elif fault_class is not None:
            failures = self._failures.setdefault(key, Counter())
            failures[fault_class] += 1
            if has_spent_retries(failures):
                self.close(key)
            if fault_class in WAITED_FOR:
                pause_s = self._patience.pause_s(failures[fault_class])
                self._not_before[key] = self._patience.clock() + pause_s

    def next_to_join(
        self, running: RunningAttempts, waiting: Sequence[Offer], load: Load
    ) -> str | None:
        """Choose the job that one more worker may join now: the one with fewest workers first."""
        candidates = [
            (num_workers, self._priorities[key], key)
            for key in running.jobs
            if (job := self._jobs.get(key)) is not None
            and (num_workers := len(running.at_job(key))) < job.workers
            and key not in self._closed
            and self._patience.clock() >= self._not_before.get(key, -math.inf)
            and may_join(job.resources, waiting, load)
        ]
        return min(candidates)[2] if candidates else None
