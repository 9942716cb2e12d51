"""Metric `my_entry`: how far the rows moved that moved the most.

The contract is analysis/metric.py; docs/howto/adding-a-metric.md says what to keep to.
"""

from __future__ import annotations

from functools import partial

from analysis.estimates.quantiles import measure_quantile
from analysis.metric import Computation, Metric
from analysis.rows.summary import Sample


class MyEntry(Metric):
    """The 90 % quantile of the norm of δ. Say its range, and what scaling or rotating rows does."""

    DEFINITION = "v1: 90 % quantile over rows of |x_aligned - x_base|; bootstrap over prompt groups"
    REPORTS = ("my_entry",)
    AXIS_LABEL = "norm of δ, 90 % quantile"
    HEADLINES = {"my_entry": 115}
    RANGES = {"my_entry": (0.0, None)}

    def prepare(self, sample: Sample, against: Sample | None, centred: bool) -> list[Computation]:
        """Return what computes each value of REPORTS."""
        norms = {number: group.norms for number, group in sample.groups.items()}
        return [partial(measure_quantile, norms, 0.9)]
