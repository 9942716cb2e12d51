"""Whether a difference of two sums follows the difference of their lengths alone.

A sum of log-probabilities over an answer grows with its length, so the margin of a longer answer
over a shorter one may say nothing but which is longer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from analysis.estimates.intervals import Estimate, jackknife

_UP_TO = 1 - 1e-12
"""Largest correlation of which Fisher's z is taken."""


@dataclass(frozen=True, kw_only=True)
class LengthDependence:
    """How a value of pairs hangs together with how much longer one side is."""

    correlation: Estimate
    """Pearson's r of value and difference of lengths, its interval by Fisher's z."""
    at_equal_length: Estimate
    """The value that the least-squares line gives at a difference of 0: what length leaves."""

    def decides_sign(self, mean: Estimate) -> bool:
        """Tell whether the sign of the mean is surely not that of the value at equal length.

        That is: the mean's interval is on one side of 0, and at equal length it reaches 0 or lies
        on the other side.
        """
        side, left = _side(mean), _side(self.at_equal_length)
        return side != 0 and left != side


def length_dependence(
    values: Float64[np.ndarray, " pairs"],
    differences: Int64[np.ndarray, " pairs"],
    groups: Int64[np.ndarray, " pairs"],
) -> LengthDependence | None:
    """Estimate correlation and line over pairs, with delete-group jackknife intervals.

    Args:
        values: one per pair, such as a margin of sums in nats.
        differences: tokens of the first side less those of the second.
        groups: group of each pair.

    Returns:
        None where all pairs differ in length by the same, or all values are equal.
    """
    numbers = np.unique(groups)
    members = (groups == numbers[:, None]).astype(np.float64)
    x, y = differences.astype(np.float64), values
    columns = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y])
    sums = members @ columns.T
    whole = _line(sums.sum(axis=0))
    if whole is None:
        return None
    rest = [_line(sums.sum(axis=0) - each) for each in sums] if len(numbers) > 1 else []
    lines = np.array([(np.nan, np.nan) if line is None else line for line in rest]).reshape(-1, 2)
    z = jackknife(_fisher(whole[0]), np.array([_fisher(r) for r in lines[:, 0]]), sums[:, 0])
    return LengthDependence(
        correlation=z.map(lambda number: float(np.tanh(number))),
        at_equal_length=jackknife(whole[1], lines[:, 1], sums[:, 0]),
    )


def _line(sums: Float64[np.ndarray, " moments"]) -> tuple[float, float] | None:
    """Return Pearson's r and the intercept, of sums of 1, x, y, x², xy and y²."""
    count, x, y, xx, xy, yy = sums
    spread_x, spread_y = count * xx - x * x, count * yy - y * y
    # What is left of a difference of two such numbers by rounding alone.
    if spread_x <= 1e-12 * count * xx or spread_y <= 1e-12 * count * yy:
        return None
    together = count * xy - x * y
    slope = together / spread_x
    return float(together / (spread_x * spread_y) ** 0.5), float((y - slope * x) / count)


def _fisher(correlation: float) -> float:
    return float(np.arctanh(np.clip(correlation, -_UP_TO, _UP_TO)))


def _side(estimate: Estimate) -> int:
    """Return 1 or -1 where the interval is on one side of 0, else 0."""
    low, high = estimate.ends or (0.0, 0.0)
    return 1 if low > 0 else -1 if high < 0 else 0
