"""How far the rows moved: quantiles of their norm."""

from __future__ import annotations

from functools import partial

from analysis.estimates.quantiles import SHARES, measure_quantile
from analysis.metric import Computation, Metric
from analysis.rows.histogram import Histogram
from analysis.rows.summary import GroupSummary, Sample


class OffsetNorm(Metric):
    """Median, 5 % and 95 % quantiles, never the mean: single coordinates can be massive.

    At least 0, from histograms of 2 % wide bins; rotating all rows changes nothing, scaling them
    scales it.
    """

    DEFINITION = (
        "v2: quantiles over rows of |x_aligned - x_base|; interval of the share of rows below, "
        "over prompt groups"
    )
    REPORTS = ("offset_norm", "offset_norm_p05", "offset_norm_p95")
    AXIS_LABEL = "norm of δ, median"
    RANGES = dict.fromkeys(REPORTS, (0.0, None))
    HEADLINES = {"offset_norm": 110}
    OVER_ANSWER = ("offset_norm",)

    def norms(self, group: GroupSummary) -> Histogram:
        """Return what the quantiles are of."""
        return group.norms

    def prepare(self, sample: Sample, against: Sample | None, centred: bool) -> list[Computation]:
        """Return what computes each value."""
        histograms = {number: self.norms(group) for number, group in sample.groups.items()}
        return [partial(measure_quantile, histograms, share) for share in SHARES]
