"""Quantiles of a value per row, with intervals from the histograms of prompt groups."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np

from analysis.estimates.evaluation import Measured, UnmeasurableError
from analysis.estimates.intervals import MIN_GROUPS, Estimate, group_draws, percentile_interval
from analysis.rows.histogram import Histogram, quantiles_of_counts

SHARES = (0.5, 0.05, 0.95)
"""The quantiles reported, the median first."""


def measure_quantile(histograms: Sequence[Histogram], share: float) -> Measured:
    """Measure a quantile of all values together, with a group bootstrap interval.

    Args:
        histograms: one per prompt group.
        share: of the values that lie below the quantile, 0 to 1.

    Returns:
        The quantile in the unit of the values.

    Raises:
        UnmeasurableError: the histograms are empty.
    """
    filled = [histogram for histogram in histograms if histogram.num_values]
    if not filled:
        raise UnmeasurableError("no row has this value (the base rows are zero)")
    whole = reduce(Histogram.merge, filled)
    estimate = Estimate(value=whole.quantile(share))
    if len(filled) >= MIN_GROUPS:
        columns = np.flatnonzero(whole.counts)
        counts = np.stack([histogram.counts[columns] for histogram in filled]).astype(np.float64)
        drawn = quantiles_of_counts(group_draws(len(filled)) @ counts, columns, share)
        drawn = np.clip(drawn, whole.smallest, whole.largest)
        estimate = percentile_interval(estimate.value, drawn, len(filled))
    return Measured(estimate=estimate, num_rows=whole.num_values, num_groups=len(filled))
