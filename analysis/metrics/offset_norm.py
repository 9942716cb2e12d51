"""How far the rows moved: quantiles of their norm."""

from analysis.estimates.quantiles import SHARES, measure_quantiles
from analysis.measurement import Measurement
from analysis.rows.summary import Sample

DEFINITION = "v1: quantiles over rows of |x_aligned - x_base|; bootstrap over prompt groups"
NEEDS_AGAINST = False
NEEDS_TOXIC = False
HEADLINES = {"offset_norm": 110}
REPORTS = ("offset_norm", "offset_norm_p05", "offset_norm_p95")
AXIS_LABEL = "norm of δ, median"


def measure(sample: Sample, against: Sample | None) -> list[Measurement]:
    """Median, 5 % and 95 % quantiles, never the mean: single coordinates can be massive.

    At least 0, from histograms of 2 % wide bins; rotating all rows changes nothing, scaling them
    scales it.
    """
    histograms = [group.norms for group in sample.groups.values()]
    names = dict(zip(REPORTS, SHARES, strict=True))
    return measure_quantiles(names, DEFINITION, sample, histograms)
