"""A mean over rows, or a gap of two, with an interval over the 20 prompt groups, as a row."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from analysis.estimates.intervals import MIN_GROUPS, Estimate, jackknife
from analysis.status import Status


def estimated_mean(
    values: Float64[np.ndarray, " rows"], groups: Int64[np.ndarray, " rows"]
) -> Estimate:
    """The mean of the rows and its delete-group jackknife interval, groups weighted by rows."""
    members = groups == np.unique(groups)[:, None]
    sums, counts = members @ values, members.sum(axis=1).astype(np.float64)
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
    """Mean of the rows less mean of the others, both without one and the same group at a time.

    Both sides must have rows of the same groups.
    """
    known = np.unique(groups)
    assert np.array_equal(known, np.unique(other_groups)), "two sides of different groups"
    means, left_out = [], []
    for side, of in ((values, groups), (others, other_groups)):
        members = of == known[:, None]
        sums, counts = members @ side, members.sum(axis=1).astype(np.float64)
        means.append(sums.sum() / counts.sum())
        if len(known) > 1:
            left_out.append((sums.sum() - sums) / (counts.sum() - counts))
    gap = float(means[0] - means[1])
    if len(known) == 1:
        return Estimate(value=gap)
    weights = (groups == known[:, None]).sum(axis=1).astype(np.float64)
    return jackknife(gap, left_out[0] - left_out[1], weights)


def measured(
    estimate: Estimate, groups: Int64[np.ndarray, " rows"], note: str | None
) -> dict[str, Any]:
    """Value, interval, counts and status; `note` says what to know about a good value.

    A model may compute numbers that are not finite, under a huge dose or in 16 bits: no value then.
    """
    if not np.isfinite(estimate.value):
        return unmeasured("what the model computes is not finite")
    num_groups = len(np.unique(groups))
    few = num_groups < MIN_GROUPS
    return {
        "value": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "num_rows": len(groups),
        "num_groups": num_groups,
        "status": (Status.TOO_FEW_GROUPS if few else Status.OK).value,
        "reason": f"{num_groups} prompt groups, an interval needs {MIN_GROUPS}" if few else note,
    }


def unmeasured(reason: str) -> dict[str, Any]:
    """A missing value and why."""
    return {
        "num_rows": 0,
        "num_groups": 0,
        "status": Status.UNDEFINED.value,
        "reason": reason,
    }
