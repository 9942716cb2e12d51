"""How long a job takes: what its kind expects of it, corrected by what jobs like it took.

Logarithms of times (of times over what was expected, where that is known) of one stage are a mean
and an effect of each value of each axis, fitted one after another and shrunk by their number: a
rung of a larger model takes longer whatever its seed. A stage of which nothing is done takes what
other stages of its kind say, or all. Everything is as uncertain as what it was taken from.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

_ROUNDS = 4
_PRIOR_SD = 0.5
"""Spread of the logarithm between runs of one job where nothing else is known: a factor of 1.6."""
_UNSEEN_SD = 0.7
"""The same for a value of an axis, or a stage, of which no job is done: a factor of two."""
_MOST_SAMPLES = 500
"""Samples of one stage that are looked at, the latest: more say no more."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """A job as far as its time goes."""

    stage: str
    """Its stage."""
    kind: str
    """Its kind."""
    cell: Mapping[str, str]
    """Its cell: axis -> value."""
    planned_s: float | None = None
    """Seconds that its kind expects; None where it does not say."""


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What a job is expected to take."""

    seconds: float
    """Seconds on the mean, above 0."""
    spread: float
    """Standard deviation of the logarithm of that expectation, itself: not of one run."""


@dataclass
class _Fit:
    """What the jobs of one stage took."""

    mean: float = 0.0
    by_value: dict[tuple[str, str], float] = field(default_factory=dict)
    axes_sd: dict[str, float] = field(default_factory=dict)
    residual_sd: float = _PRIOR_SD
    num: int = 0
    is_ratio: bool = False
    """True where it is of times over what was expected."""


class Durations:
    """What jobs take, learned from those that are done."""

    def __init__(self, done: Iterable[tuple[Task, float]]) -> None:
        """Learn from jobs that are done, oldest first, and the seconds that each took."""
        by_stage: dict[str, list[tuple[Task, float]]] = defaultdict(list)
        for task, seconds in done:
            if math.isfinite(seconds) and seconds > 0:
                by_stage[task.stage].append((task, _possible(seconds)))
        self._stages = {
            stage: _fit(samples[-_MOST_SAMPLES:]) for stage, samples in by_stage.items()
        }
        self._kind_of = {stage: samples[0][0].kind for stage, samples in by_stage.items()}

    def of(self, task: Task) -> Expected | None:
        """Return what a job is expected to take; None where nothing like it has run yet."""
        fit = self._stages.get(task.stage)
        if fit is not None:
            expected = _from_stage(fit, task)
            if expected is not None:
                return expected
        return self._from_others(task)

    def _from_others(self, task: Task) -> Expected | None:
        """Go by what other stages say of what was expected, or of jobs of the kind."""
        planned = _planned(task)
        if planned is not None:
            ratios = [fit for fit in self._stages.values() if fit.is_ratio]
            of_kind = [
                fit
                for stage, fit in self._stages.items()
                if fit.is_ratio and self._kind_of[stage] == task.kind
            ]
            means = [fit.mean for fit in of_kind or ratios]
            log_ratio = fmean(means) if means else 0.0
            spread = _PRIOR_SD if of_kind else _UNSEEN_SD
            return Expected(seconds=_possible(_exp(log_ratio) * planned), spread=spread)
        same = [
            fit
            for stage, fit in self._stages.items()
            if not fit.is_ratio and self._kind_of[stage] == task.kind
        ]
        if not same:
            return None
        return Expected(seconds=_exp(fmean(fit.mean for fit in same)), spread=2 * _PRIOR_SD)


def _possible(seconds: float) -> float:
    """Return a time between a microsecond and three centuries."""
    return max(1e-6, min(1e10, seconds))


def _planned(task: Task) -> float | None:
    """Return what was planned, where it is a time."""
    seconds = task.planned_s
    return None if seconds is None or not 0 < seconds < math.inf else _possible(seconds)


def _exp(logarithm: float) -> float:
    return math.exp(max(-20.0, min(30.0, logarithm)))


def _from_stage(fit: _Fit, task: Task) -> Expected | None:
    planned = _planned(task)
    if fit.is_ratio and planned is None:
        return None
    logarithm, variance = fit.mean, fit.residual_sd**2 / fit.num
    for axis, value in task.cell.items():
        effect = fit.by_value.get((axis, value))
        if effect is None:
            # How much a value of this axis matters is known from the others, or not at all.
            variance += (fit.axes_sd.get(axis) or _UNSEEN_SD) ** 2
        else:
            logarithm += effect
    # A mean of times is above the exponential of the mean of their logarithms.
    seconds = _exp(logarithm + fit.residual_sd**2 / 2) * (planned or 1.0 if fit.is_ratio else 1.0)
    return Expected(seconds=_possible(seconds), spread=math.sqrt(variance))


def _fit(samples: Sequence[tuple[Task, float]]) -> _Fit:
    is_ratio = all(_planned(task) for task, _ in samples)
    rest = [
        math.log(seconds / ((_planned(task) or 1.0) if is_ratio else 1.0))
        for task, seconds in samples
    ]
    fit = _Fit(mean=fmean(rest), num=len(samples), is_ratio=is_ratio)
    rest = [value - fit.mean for value in rest]
    axes = list(dict.fromkeys(axis for task, _ in samples for axis in task.cell))
    for _ in range(_ROUNDS if len(samples) > 1 else 1):
        for axis in axes:
            _fit_axis(fit, axis, [task for task, _ in samples], rest)
    for axis in axes:
        effects = [effect for (own, _), effect in fit.by_value.items() if own == axis]
        if len(effects) > 1:
            fit.axes_sd[axis] = math.sqrt(fmean(effect * effect for effect in effects))
    # As if one more sample had been there, as far off as runs of one job may be.
    squares = sum(value * value for value in rest)
    fit.residual_sd = math.sqrt((squares + _PRIOR_SD**2) / (len(rest) + 1))
    return fit


def _fit_axis(fit: _Fit, axis: str, tasks: Sequence[Task], rest: list[float]) -> None:
    """Move from what is left unexplained to the effects of an axis what its values explain."""
    places: dict[str, list[int]] = defaultdict(list)
    for at, task in enumerate(tasks):
        if axis in task.cell:
            places[task.cell[axis]].append(at)
    for value, own in places.items():
        step = sum(rest[at] for at in own) / (len(own) + 0.2)
        fit.by_value[axis, value] = fit.by_value.get((axis, value), 0.0) + step
        for at in own:
            rest[at] -= step
