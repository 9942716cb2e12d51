"""Contract of a metric of weights.

A metric of weights is one file in `weight_metrics/`. Its signature follows what it looks at: a
tensor, a down projection, or value vectors beside mean offsets. Axes: `neurons`, `d` (width of the
residual stream), `leave` (all prompt groups, then without each), `draws`, `bins`.
"""

from __future__ import annotations

from typing import Protocol


class WeightMetric(Protocol):
    """What a module in `weight_metrics/` provides, beside its functions."""

    DEFINITION: str
    """One line with its version: what the number is, precisely enough to compute it again."""
    REPORTS: tuple[str, ...]
    """Names of the values it reports, the one to show first."""
    NEEDS_OFFSETS: bool
    """Whether some of them compare with mean δ."""
    AXIS_LABEL: str
    """What to write on a figure's axis, with the unit or range."""
