"""Quantiles of a value per row, with intervals from the histograms of prompt groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial, reduce

import numpy as np

from analysis.estimates.evaluation import Measured, UnmeasurableError, evaluate
from analysis.estimates.intervals import MIN_GROUPS, Estimate, group_draws, percentile_interval
from analysis.measurement import Measurement
from analysis.rows.histogram import Histogram, quantiles_of_counts
from analysis.rows.summary import Sample

SHARES = (0.5, 0.05, 0.95)
"""The quantiles reported, the median first."""


def measure_quantiles(
    names: Mapping[str, float], definition: str, sample: Sample, histograms: Sequence[Histogram]
) -> list[Measurement]:
    """One Measurement per name: that share's quantile over the rows of all groups."""
    return [
        evaluate(name, definition, None, sample, partial(grouped_quantile, histograms, share))
        for name, share in names.items()
    ]


def grouped_quantile(histograms: Sequence[Histogram], share: float) -> Measured:
    """A quantile of all values together, with a group bootstrap interval."""
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
