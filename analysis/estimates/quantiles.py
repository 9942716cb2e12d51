"""Quantiles of a value per row, with intervals from the histograms of prompt groups."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

import numpy as np

from analysis.estimates.evaluation import Measured, UnmeasurableError
from analysis.estimates.intervals import (
    MIN_GROUPS,
    Estimate,
    group_draws,
    left_out_weights,
    percentile_interval,
)
from analysis.rows.histogram import Histogram, quantiles_of_counts

SHARES = (0.5, 0.05, 0.95)
"""The quantiles reported, the median first."""


def measure_quantile(histograms: Mapping[int, Histogram], share: float) -> Measured:
    """Measure a quantile of all values together, with a group bootstrap interval.

    Args:
        histograms: one per prompt group, by the group's number.
        share: of the values that lie below the quantile, 0 to 1.

    Returns:
        The quantile in the unit of the values.

    Raises:
        UnmeasurableError: the histograms are empty.
    """
    filled = {number: part for number, part in histograms.items() if part.num_values}
    if not filled:
        raise UnmeasurableError("no row has this value (the base rows are zero)")
    whole = reduce(Histogram.merge, filled.values())
    estimate = Estimate(value=whole.quantile(share))
    if len(filled) >= MIN_GROUPS:
        columns = np.flatnonzero(whole.counts)
        counts = np.stack([part.counts[columns] for part in filled.values()]).astype(np.float64)
        drawn, left_out = (
            np.clip(
                quantiles_of_counts(weights @ counts, columns, share), whole.smallest, whole.largest
            )
            for weights in (group_draws(len(filled)), left_out_weights(len(filled)))
        )
        estimate = percentile_interval(estimate.value, drawn, left_out)
    return Measured(estimate=estimate, num_rows=whole.num_values, groups=list(filled))
