"""Shares of rows, such as an accuracy, with an interval over groups that holds near 0 and 1 too.

A jackknife of a share that is 0 or 1 in every group has no width. Korn and Graubard 1998,
*Confidence intervals for proportions with small expected number of positive counts estimated from
survey data*: the exact binomial interval of as many independent rows as would leave the share as
uncertain as the groups say.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float64, Int64

from analysis.estimates.group_means import estimated_mean, sums_and_counts
from analysis.estimates.intervals import Estimate, share_interval

SILENT = 1e-12
"""Width of an interval that says only that all groups have one share."""


def estimated_rate(
    values: Float64[np.ndarray, " rows"], groups: Int64[np.ndarray, " rows"]
) -> Estimate:
    """Estimate the mean of rows that are 0 or 1: by a jackknife, unless that has no width.

    So that rates on the same prompts can be paired wherever groups say how unsure they are.

    Args:
        values: 1 where the row counts, 0 where not.
        groups: number of each row's prompt group.

    Returns:
        The rate, without an interval where there are too few groups.
    """
    estimate = estimated_mean(values, groups)
    is_silent = estimate.ends is not None and estimate.ends[1] - estimate.ends[0] < SILENT
    return estimated_share(values, groups) if is_silent else estimate


def estimated_share(
    values: Float64[np.ndarray, " rows"],
    groups: Int64[np.ndarray, " rows"],
    num_independent: int | None = None,
) -> Estimate:
    """Estimate the mean of rows between 0 and 1.

    Args:
        values: 1 where the row counts, 0 where not; 0.5 for a tie.
        groups: number of each row's prompt group.
        num_independent: of the rows, such as distinct prompts; where all groups agree, no spread
            between them says how alike rows are, and no more than these count. None: all rows.

    Returns:
        The share, without an interval where there are too few groups.
    """
    estimate = estimated_mean(values, groups)
    if estimate.low is None:
        return estimate
    sums, counts = sums_and_counts(values, groups, np.unique(groups))
    low, high = share_interval(estimate.value, sums, counts, num_independent)
    return replace(estimate, low=low, high=high)
