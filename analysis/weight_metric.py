"""Contract of a metric of weights, and the door to its entries.

A metric of weights is one file in `weight_metrics/`. Its signature follows what it looks at: a
tensor, a down projection, or value vectors beside mean offsets. Axes: `neurons`, `d` (width of the
residual stream), `leave` (all prompt groups, then without each), `draws`, `bins`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from analysis.door import Door


class WeightMetric(Protocol):
    """What a module in `weight_metrics/` provides, beside its functions."""

    DEFINITION: str
    """One line with its version: what the number is, precisely enough to compute it again."""

    @property
    def REPORTS(self) -> tuple[str, ...]:
        """Names of the values that the metric reports, the headline first."""
        ...

    @property
    def HEADLINES(self) -> Mapping[str, int]:
        """Value -> sort number of its column in the default table, as in `Metric`."""
        ...

    NEEDS_OFFSETS: bool
    """Whether some of its values compare with the mean offset δ."""
    AXIS_LABEL: str
    """What to write on a figure's axis, with the unit or range."""


WEIGHT_METRICS: Door[WeightMetric] = Door(
    "metric of weights", "analysis.weight_metrics", contract=WeightMetric
)
