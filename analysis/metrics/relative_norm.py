"""How far the rows moved, as a share of the base model's own row."""

from __future__ import annotations

from analysis.metrics.offset_norm import OffsetNorm
from analysis.rows.histogram import Histogram
from analysis.rows.summary import GroupSummary


class RelativeNorm(OffsetNorm):
    """Median, 5 % and 95 % quantiles; rows whose base row is zero are left out.

    At least 0, from histograms of 2 % wide bins; rotating the stream, or scaling both models'
    rows, changes nothing.
    """

    DEFINITION = (
        "v2: quantiles over rows of |δ| / |x_base|; interval of the share of rows below, over "
        "prompt groups"
    )
    REPORTS = ("relative_norm", "relative_norm_p05", "relative_norm_p95")
    AXIS_LABEL = "norm of δ / norm of the base row, median"
    RANGES = dict.fromkeys(REPORTS, (0.0, None))
    HEADLINES = {"relative_norm": 100}
    OVER_ANSWER = ("relative_norm",)

    def norms(self, group: GroupSummary) -> Histogram:
        """Return what the quantiles are of."""
        return group.relative_norms
