"""Means over rows, and gaps of two means, with an interval over the prompt groups."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int64

from analysis.estimates.intervals import Estimate, jackknife


def sums_and_counts(
    values: Float64[np.ndarray, " rows"],
    groups: Int64[np.ndarray, " rows"],
    known: Int64[np.ndarray, " groups"],
) -> tuple[Float64[np.ndarray, " groups"], Float64[np.ndarray, " groups"]]:
    """Return the sum and the number of each group's rows; one infinite row makes all sums NaN."""
    members = groups == known[:, None]
    with np.errstate(invalid="ignore"):  # 0 x infinity: such a mean is missing in any case
        sums = members @ values
    return sums, members.sum(axis=1).astype(np.float64)


def estimated_mean(
    values: Float64[np.ndarray, " rows"], groups: Int64[np.ndarray, " rows"]
) -> Estimate:
    """Estimate the mean of rows, with a delete-group jackknife interval.

    Args:
        values: one per row, in any unit.
        groups: number of each row's prompt group; a group weighs as much as it has rows.

    Returns:
        The mean, without an interval where there are too few groups.
    """
    sums, counts = sums_and_counts(values, groups, np.unique(groups))
    if len(counts) == 1:
        return Estimate(value=float(values.mean()))
    left_out = (sums.sum() - sums) / (counts.sum() - counts)
    return jackknife(float(sums.sum() / counts.sum()), left_out, counts)


def estimated_gap(
    values: Float64[np.ndarray, " rows"],
    groups: Int64[np.ndarray, " rows"],
    others: Float64[np.ndarray, " others"],
    other_groups: Int64[np.ndarray, " others"],
) -> Estimate:
    """Estimate the mean of rows less the mean of others; the jackknife leaves a group out of both.

    Args:
        values: one per row.
        groups: number of each row's prompt group.
        others: one per row of the other side, in the same unit.
        other_groups: prompt groups of the other side; the same groups must occur.

    Returns:
        The gap, without an interval where there are too few groups.
    """
    numbers = np.unique(groups)
    assert np.array_equal(numbers, np.unique(other_groups)), "two sides of different groups"
    means, left_out = [], []
    for side, owners in ((values, groups), (others, other_groups)):
        sums, counts = sums_and_counts(side, owners, numbers)
        means.append(sums.sum() / counts.sum())
        if len(numbers) > 1:
            left_out.append((sums.sum() - sums) / (counts.sum() - counts))
    gap = float(means[0] - means[1])
    if len(numbers) == 1:
        return Estimate(value=gap)
    weights = (groups == numbers[:, None]).sum(axis=1).astype(np.float64)
    return jackknife(gap, left_out[0] - left_out[1], weights)
