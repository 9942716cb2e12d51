"""The attempts an executor has now, and the jobs that wait for another launch to do them."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from cluster.resources import Resources
from orchestrator.dispatch.policy import Load

_MORE_AHEAD = 2
"""Queued jobs beyond one for each slot: with them, workers never wait for the dispatcher."""
_QUEUE_BELOW_S = 1.0
"""Only jobs as short as this are queued: behind longer ones a queue gains nothing, and hides what
really runs."""
_WEIGHT_OF_LATEST = 0.2
_PAUSES_S = (1.0, 2.0, 4.0, 8.0)
"""Pauses before asking again for a job that another launch is at; the last one repeats."""


@dataclass(frozen=True, kw_only=True)
class _Attempt:
    key: str
    """Key of the job."""
    resources: Resources
    """What it holds."""
    worker: int
    """Its number among those that share the job."""
    since: float
    """When it was submitted, by the monotonic clock."""


class InFlight:
    """Submitted attempts and what they hold together."""

    def __init__(self) -> None:
        self._attempts: dict[str, _Attempt] = {}
        self._crews: dict[str, list[str]] = {}
        self._shapes: Counter[Resources] = Counter()
        self._in_use = Resources(num_cpus=0)
        self._typical_s: float | None = None

    def __len__(self) -> int:
        return len(self._attempts)

    def add(self, attempt: str, key: str, resources: Resources) -> int:
        """It is submitted; returns its number among those at the job, the smallest that is free."""
        taken = {self._attempts[other].worker for other in self.crew(key)}
        worker = next(number for number in range(len(taken) + 1) if number not in taken)
        self._attempts[attempt] = _Attempt(
            key=key, resources=resources, worker=worker, since=time.monotonic()
        )
        self._crews.setdefault(key, []).append(attempt)
        self._shapes[resources] += 1
        self._in_use = self._in_use.plus(resources)
        return worker

    def end(self, attempt: str) -> tuple[str, float]:
        """It ended: the key of its job, and seconds since submission."""
        ended = self._attempts.pop(attempt)
        self._crews[ended.key].remove(attempt)
        if not self._crews[ended.key]:
            del self._crews[ended.key]
        self._in_use = self._in_use.minus(ended.resources)
        self._shapes[ended.resources] -= 1
        if not self._shapes[ended.resources]:
            del self._shapes[ended.resources]
        if not self._attempts:
            self._in_use = Resources(num_cpus=0)  # sheds what sums of fractions leave behind
        return ended.key, round(time.monotonic() - ended.since, 3)

    def learn(self, seconds: float) -> None:
        """A job took so long; what the latest ones took decides whether to queue."""
        before = seconds if self._typical_s is None else self._typical_s
        self._typical_s = before + _WEIGHT_OF_LATEST * (seconds - before)

    def attempts(self) -> dict[str, str]:
        """Id of each attempt -> key of its job."""
        return {attempt: one.key for attempt, one in self._attempts.items()}

    @property
    def jobs(self) -> Sequence[str]:
        """Keys of the jobs that somebody is at."""
        return tuple(self._crews)

    def crew(self, key: str) -> Sequence[str]:
        """Ids of the attempts that are at a job."""
        return tuple(self._crews.get(key, ()))

    def load(self, capacity: Resources, nodes: Sequence[Resources] | None = None) -> Load:
        """What the policy needs to know; `nodes` is what each has left, where that matters."""
        slots = 0
        if len(self._shapes) == 1:
            (shape,) = self._shapes
            slots = shape.times_in(capacity)
        return Load(
            capacity=capacity,
            in_use=self._in_use,
            shapes=frozenset(self._shapes),
            num_ahead=max(0, len(self._attempts) - slots),
            most_ahead=slots + _MORE_AHEAD if self._is_short() else 0,
            nodes=nodes,
        )

    def _is_short(self) -> bool:
        return self._typical_s is not None and self._typical_s < _QUEUE_BELOW_S


class Parking:
    """Jobs that another live launch is at; asked for again after growing pauses."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}
        self._num_times: Counter[str] = Counter()

    def waiting(self) -> list[str]:
        """Jobs that wait here."""
        return list(self._until)

    def add(self, key: str) -> None:
        """It was found busy."""
        pause = _PAUSES_S[min(self._num_times[key], len(_PAUSES_S) - 1)]
        self._num_times[key] += 1
        self._until[key] = time.monotonic() + pause

    def remove(self, key: str) -> None:
        """It waits here no longer, if it did."""
        self._until.pop(key, None)

    def is_due(self, key: str) -> bool:
        """True when its pause is over."""
        return time.monotonic() >= self._until[key]
