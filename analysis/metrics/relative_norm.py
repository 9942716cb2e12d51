"""How far the rows moved, as a share of the base model's own row."""

from __future__ import annotations

from functools import partial

from analysis.estimates.quantiles import SHARES, measure_quantile
from analysis.metric import Computation, Metric
from analysis.rows.summary import Sample


class RelativeNorm(Metric):
    """Median, 5 % and 95 % quantiles; rows whose base row is zero are left out.

    At least 0, from histograms of 2 % wide bins; rotating the stream, or scaling both models'
    rows, changes nothing.
    """

    DEFINITION = "v1: quantiles over rows of |δ| / |x_base|; bootstrap over prompt groups"
    REPORTS = ("relative_norm", "relative_norm_p05", "relative_norm_p95")
    AXIS_LABEL = "norm of δ / norm of the base row, median"
    HEADLINES = {"relative_norm": 100}

    def prepare(self, sample: Sample, against: Sample | None, centred: bool) -> list[Computation]:
        """Return what computes each value."""
        histograms = [group.relative_norms for group in sample.groups.values()]
        return [partial(measure_quantile, histograms, share) for share in SHARES]
