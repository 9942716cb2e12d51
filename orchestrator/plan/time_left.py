"""The time that is left: the jobs that are left, run in order on as many machines as now.

A range is given, not a point: little was done, so little is known. Of what nothing is known, it is
said.
"""

import heapq
import math
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.plan.durations import Durations, Task
from orchestrator.text import duration, pluralize

_SIGMAS = 1.28
"""Four of five ends lie between the range's."""
_WORTH_A_RANGE = 1.2
"""A range whose upper end is nearer than this factor to its lower one is a point to a reader."""
_MOST_SPREAD = 2.0
_OVERDUE = 0.1
"""Of what a job has taken that should be over, so much more is expected."""


@dataclass(frozen=True, kw_only=True)
class Left:
    """A job that is not done, and will be tried."""

    task: Task
    """What is known of it."""
    needs: frozenset[str] = frozenset()
    """Keys of jobs that are not done and must be before."""
    share: float = 1.0
    """Part of all machines that it holds, above 0 and at most 1."""
    spent_s: float | None = None
    """Seconds for which it has been running; None where it waits."""
    remaining_s: float | None = None
    """Seconds that it says it still takes; None where it says nothing."""


@dataclass(frozen=True, kw_only=True)
class TimeLeft:
    """When a study may end."""

    seconds: float | None
    """Seconds from now, on the mean; None where some jobs are of unknown length."""
    low: float
    """Hardly less than this: where some jobs are unknown, what the others take."""
    high: float | None
    """Hardly more than this; None where some jobs are unknown."""
    unknown: Mapping[str, int]
    """Stage -> number of its jobs of which nothing is known."""

    @property
    def line(self) -> str:
        """Say it in a few words."""
        if self.seconds is not None and self.high is not None:
            if self.high < _WORTH_A_RANGE * self.low or self.high < 10:
                return f"about {duration(self.seconds)} left"
            return (
                f"about {duration(self.seconds)} left "
                f"({duration(self.low)} to {duration(self.high)})"
            )
        jobs = pluralize(sum(self.unknown.values()), "job")
        stages = list(self.unknown)
        of = stages[0] if len(stages) == 1 else f"{len(stages)} stages"
        if self.low <= 0:
            return "time left: not known, nothing like it has run yet"
        return f"at least {duration(self.low)} left; nothing like the {jobs} of {of} has run yet"

    def as_json(self) -> dict[str, object]:
        """Return it for `--json`."""

        def shown(value: float | None) -> float | None:
            return None if value is None else round(value, 1)

        return {
            "seconds": shown(self.seconds),
            "low": shown(self.low),
            "high": shown(self.high),
            "unknown": dict(self.unknown),
            "line": self.line,
        }


def time_left(left: Mapping[str, Left], durations: Durations) -> TimeLeft | None:
    """Expect when the last job ends; None where none is left.

    Args:
        left: key -> job, in the order in which they start.
        durations: what jobs take.
    """
    if not left:
        return None
    seconds: dict[str, float] = {}
    unknown: Counter[str] = Counter()
    weight = doubt = 0.0
    for key, job in left.items():
        expected = durations.of(job.task)
        if job.remaining_s is not None:
            seconds[key] = max(0.0, job.remaining_s)
        elif expected is None:
            unknown[job.task.stage] += 1
            seconds[key] = 0.0
        else:
            spent = job.spent_s or 0.0
            seconds[key] = max(expected.seconds - spent, _OVERDUE * min(spent, expected.seconds))
            weight += seconds[key] * job.share
            doubt += seconds[key] * job.share * expected.spread
    total = _run_all(left, seconds)
    spread = min(_MOST_SPREAD, doubt / weight) if weight else 0.0
    factor = math.exp(_SIGMAS * spread)
    is_known = not unknown
    return TimeLeft(
        seconds=total if is_known else None,
        low=total / factor,
        high=total * factor if is_known else None,
        unknown=dict(unknown),
    )


def _run_all(left: Mapping[str, Left], seconds: Mapping[str, float]) -> float:
    """Return when the last job ends if each starts, in order, once its needs and machines allow."""
    unmet = {key: len(job.needs & left.keys()) for key, job in left.items()}
    below: dict[str, list[str]] = {}
    for key, job in left.items():
        for upstream in job.needs:
            below.setdefault(upstream, []).append(key)
    ready = deque(key for key, job in left.items() if job.spent_s is None and not unmet[key])
    ends = [(seconds[key], key) for key, job in left.items() if job.spent_s is not None]
    heapq.heapify(ends)
    free = 1.0 - sum(left[key].share for _, key in ends)
    now = 0.0
    while ready or ends:
        while ready and (not ends or left[ready[0]].share <= free + 1e-9):
            key = ready.popleft()
            free -= left[key].share
            heapq.heappush(ends, (now + seconds[key], key))
        now, key = heapq.heappop(ends)
        free += left[key].share
        for waiting in below.get(key, ()):
            unmet[waiting] -= 1
            if not unmet[waiting] and left[waiting].spent_s is None:
                ready.append(waiting)
    return now


def shares(
    num_gpus: Sequence[float], *, width: float | None, gpus_at_once: float | None
) -> list[float]:
    """Return which part of all machines each job holds.

    Args:
        num_gpus: accelerators of each job.
        width: jobs without accelerators that run at a time; None: not known, one.
        gpus_at_once: accelerators that are held at a time; None: not known, those of one job.
    """
    each = 1.0 / max(1.0, width or 1.0)
    return [min(1.0, gpus / max(gpus, gpus_at_once or gpus)) if gpus else each for gpus in num_gpus]
