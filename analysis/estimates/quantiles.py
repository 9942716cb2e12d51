"""Quantiles of a value per row, with intervals from the histograms of prompt groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, reduce

import numpy as np
from jaxtyping import Float64

from analysis.estimates.evaluation import Measured, UnmeasurableError
from analysis.estimates.intervals import MIN_GROUPS, Estimate, share_interval
from analysis.rows.histogram import Histogram, find_quantile_bins, points_of_counts

SHARES = (0.5, 0.05, 0.95)
"""The quantiles reported, the median first."""
TAIL_ROWS = 5
"""Outermost rows that say how far a tail goes on beyond the last of them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ShareCurve:
    """The share of values that lies below each value: known points, on a normal number's scale.

    On that scale the middle of a bin, the gap between two rows and the tail beyond the last are
    nearly straight, whatever the shape of the whole.
    """

    values: Float64[np.ndarray, " points"]
    """Ascending."""
    below: Float64[np.ndarray, " points"]
    """Weight up to each of them; the last is all weight."""

    @cached_property
    def scores(self) -> Float64[np.ndarray, " points"]:
        """Normal numbers whose share is that of the points; half a row lies beyond either end."""
        from scipy.special import ndtri

        total = self.below[-1]
        return np.asarray(ndtri(np.clip(self.below / total, 0.5 / total, 1 - 0.5 / total)))

    def value(self, share: float) -> float:
        """Return the value below which a share lies; beyond the outermost, along the tail."""
        from scipy.special import ndtri

        score, scores = float(ndtri(np.clip(share, 1e-9, 1 - 1e-9))), self.scores
        inner = float(ndtri(min(TAIL_ROWS / float(self.below[-1]), 0.4)))
        for end, start in ((0, inner), (-1, -inner)):
            beyond = score < scores[0] if end == 0 else score > scores[-1]
            run = scores[end] - start
            if beyond and run:
                rise = self.values[end] - np.interp(start, scores, self.values)
                return float(self.values[end] + (score - scores[end]) * rise / run)
        return float(np.interp(score, scores, self.values))


def measure_quantile(histograms: Mapping[int, Histogram], share: float) -> Measured:
    """Measure a quantile of all values together.

    The interval is that of the share of rows below it, read off the curve of shares (Woodruff 1952,
    *Confidence intervals for medians and other position measures*).

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
    estimate = Estimate(value=_quantile(whole, share))
    if len(filled) >= MIN_GROUPS:
        counts = np.stack([part.counts for part in filled.values()]).astype(np.float64)
        low, high = share_interval(share, _below(whole, counts, share), counts.sum(axis=1))
        estimate = replace(
            estimate,
            low=min(_quantile(whole, low), estimate.value),
            high=max(_quantile(whole, high), estimate.value),
            left_out=tuple(_quantile(_without(whole, part), share) for part in filled.values()),
        )
    return Measured(estimate=estimate, num_rows=whole.num_values, groups=list(filled))


def _quantile(histogram: Histogram, share: float) -> float:
    """Return a quantile of the values, zeros first."""
    zeros, total = int(histogram.counts[0]), histogram.num_values
    if share * total <= zeros:
        return 0.0
    if histogram.smallest == histogram.largest:
        return histogram.largest
    curve = ShareCurve(**dict(zip(("values", "below"), points_of_counts(histogram), strict=True)))
    return float(10.0 ** curve.value((share * total - zeros) / (total - zeros)))


def _without(whole: Histogram, part: Histogram) -> Histogram:
    """Return the values outside one part; the ends stay those of all."""
    return replace(whole, counts=whole.counts - part.counts, total=whole.total - part.total)


def _below(
    whole: Histogram, counts: Float64[np.ndarray, "groups bins"], share: float
) -> Float64[np.ndarray, " groups"]:
    """Return how many values of each group lie below a quantile of all."""
    (at,), (inside,) = find_quantile_bins(whole.counts[None], share)
    return np.asarray(counts[:, :at].sum(axis=1) + inside * counts[:, at])
