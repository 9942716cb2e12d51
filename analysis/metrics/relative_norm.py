"""How far the rows moved, as a share of the base model's own row."""

from analysis.estimates.quantiles import SHARES, measure_quantiles
from analysis.measurement import Measurement
from analysis.rows.summary import Sample

DEFINITION = "v1: quantiles over rows of |δ| / |x_base|; bootstrap over prompt groups"
NEEDS_AGAINST = False
NEEDS_TOXIC = False
HEADLINES = {"relative_norm": 100}
REPORTS = ("relative_norm", "relative_norm_p05", "relative_norm_p95")
AXIS_LABEL = "norm of δ / norm of the base row, median"


def measure(sample: Sample, against: Sample | None) -> list[Measurement]:
    """Median, 5 % and 95 % quantiles; rows whose base row is zero are left out.

    At least 0, from histograms of 2 % wide bins; rotating the stream, or scaling both models'
    rows, changes nothing.
    """
    histograms = [group.relative_norms for group in sample.groups.values()]
    names = dict(zip(REPORTS, SHARES, strict=True))
    return measure_quantiles(names, DEFINITION, sample, histograms)
