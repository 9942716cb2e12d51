"""Whether toxic neurons fire again under a transform: how much of their silencing is undone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float64, Int

from analysis.estimates.evaluation import Measured, UnmeasurableError, require_against
from analysis.estimates.intervals import jackknife
from analysis.estimates.toxic_neurons import GroupedSums, grouped_sums, require_moved, require_toxic
from analysis.metric import Computation, Metric
from analysis.rows.summary import Sample
from analysis.status import Status


class Reactivation(Metric):
    """A difference in differences: 0 where alignment does the same in both conditions.

    Above 0: under this condition the neurons are silenced less than in the other one (plain), and
    a model that cannot read the transform does the same, so a decode control belongs beside it.
    The ratio is 1 where they are silenced alike and 0 where they fire as in the base; where the
    base hardly fires it would explode and change sign, and is missing. Any real number, both;
    scaling the activations of all conditions together changes neither.
    """

    DEFINITION = (
        "v2: (aligned - base) mean activation of this condition minus that of the other one, over"
        " the standard deviation of the base model in the other one, mean over the layer's toxic "
        "neurons; _ratio: (aligned - base) / base of their mean activation in this condition over"
        " that in the other one, where the base's means and the other's change are told from 0; "
        "delete-group jackknife"
    )
    REPORTS = ("reactivation", "reactivation_ratio")
    AXIS_LABEL = "reactivation of toxic neurons (standard deviations)"
    NEEDS_AGAINST = True
    NEEDS_TOXIC = True

    def prepare(self, sample: Sample, against: Sample | None, centred: bool) -> list[Computation]:
        """Return what computes each value."""
        return [
            partial(_measure_difference, sample, against),
            partial(_measure_ratio, sample, against),
        ]


@dataclass(frozen=True, kw_only=True, eq=False)
class Left:
    """Sums over the rows of one condition at its toxic neurons: of all, then without each group."""

    numbers: list[int]
    """Numbers of the groups left out in turn."""
    counts: Float64[np.ndarray, "leave 1"]
    """Rows."""
    moved: Float64[np.ndarray, "leave k"]
    """Of aligned - base."""
    base: Float64[np.ndarray, "leave k"]
    """Of the base."""
    square: Float64[np.ndarray, "leave k"]
    """Of its square."""

    @property
    def rows(self) -> Float64[np.ndarray, " groups"]:
        """Rows of each group."""
        return np.asarray(self.counts[0, 0] - self.counts[1:, 0])

    def mean(self, sums: Float64[np.ndarray, "leave k"]) -> Float64[np.ndarray, " leave"]:
        """Return the mean of some sums over rows and neurons."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((sums / self.counts).mean(axis=1))


def _measure_difference(sample: Sample, against: Sample | None) -> Measured:
    own, other = _leave_out_groups(sample, against)
    with np.errstate(invalid="ignore", divide="ignore"):
        change = own.moved / own.counts - other.moved / other.counts
        variance = (other.square - np.square(other.base) / other.counts) / (other.counts - 1)
        usable = variance[0] > 0
        if not usable.any():
            raise UnmeasurableError("toxic neurons are constant in the base model")
        changes = (change / np.sqrt(variance))[:, usable].mean(axis=1)
    return _jackknife(changes, own, other)


def _measure_ratio(sample: Sample, against: Sample | None) -> Measured:
    own, other = _leave_out_groups(sample, against)
    bases = [half.mean(half.base) for half in (own, other)]
    changes = [half.mean(half.moved) for half in (own, other)]
    for half, base in zip((own, other), bases, strict=True):
        _require_not_zero(base, half, "the base model's toxic neurons hardly fire", positive=True)
    _require_not_zero(changes[1], other, "alignment hardly moves them in the other condition")
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = [change / base for change, base in zip(changes, bases, strict=True)]
        ratios = relative[0] / relative[1]
    return _jackknife(ratios, own, other)


def _require_not_zero(
    numbers: Float64[np.ndarray, " leave"], half: Left, otherwise: str, positive: bool = False
) -> None:
    """Refuse a denominator whose interval holds 0, or that must be above it and is not."""
    filled = half.rows > 0
    estimate = jackknife(float(numbers[0]), numbers[1:][filled], half.rows[filled])
    if estimate.low is None or estimate.high is None:
        groups = f"{int(filled.sum())} prompt groups hold rows"
        raise UnmeasurableError(f"{groups}, too few to tell 0 from not", Status.TOO_FEW_GROUPS)
    if not (estimate.low > 0 or (estimate.high < 0 and not positive)):
        raise UnmeasurableError(f"{otherwise}: 0 is in its interval", Status.BELOW_NOISE_FLOOR)


def _jackknife(numbers: Float64[np.ndarray, " leave"], own: Left, other: Left) -> Measured:
    rows = own.rows + other.rows
    estimate = jackknife(float(numbers[0]), numbers[1:], rows)
    return Measured(estimate=estimate, num_rows=int(own.rows.sum()), groups=own.numbers)


def _leave_out_groups(sample: Sample, against: Sample | None) -> tuple[Left, Left]:
    """Return both conditions, each without the same groups in turn."""
    given = require_against(against)
    toxic = require_toxic(sample)
    pair = grouped_sums(sample), grouped_sums(given)
    for sums in pair:
        require_moved(sums, toxic)
    numbers = sorted({*pair[0].numbers, *pair[1].numbers})
    return _left(pair[0], numbers, toxic), _left(pair[1], numbers, toxic)


def _left(sums: GroupedSums, numbers: list[int], toxic: Int[np.ndarray, " k"]) -> Left:
    def leave(parts: np.ndarray) -> np.ndarray:
        by_number = dict(zip(sums.numbers, parts, strict=True))
        own = np.stack([by_number.get(number, np.zeros_like(parts[0])) for number in numbers])
        whole = parts.sum(axis=0)
        return np.concatenate([whole[None], whole - own])

    return Left(
        numbers=numbers,
        counts=leave(sums.counts[:, None]),
        moved=leave((sums.aligned - sums.base)[:, toxic]),
        base=leave(sums.base[:, toxic]),
        square=leave(sums.base_square[:, toxic]),
    )
