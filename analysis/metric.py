"""Contract of a metric of activations, and the door to its entries.

A metric is one file in `metrics/`; its name is the file's. Axes in signatures: `rows` (activation
rows, a row per prompt and position), `d` (model width), `groups` (prompt groups, at most 20), `k`
(rows of a factor, or leading axes), `m` (any axes), `draws` (bootstrap), `bins`, `columns`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from analysis.door import Door

if TYPE_CHECKING:
    from analysis.measurement import Measurement
    from analysis.rows.summary import Sample


class Metric(Protocol):
    """What a module in `metrics/` provides."""

    DEFINITION: str
    """One line with its version: what the number is, precisely enough to compute it again."""
    NEEDS_AGAINST: bool
    """Whether it compares the sample with another one (another condition of the same model)."""
    NEEDS_TOXIC: bool
    """Whether it reads the sample's toxic directions or neurons, which a probe of the base finds.
    """

    @property
    def REPORTS(self) -> tuple[str, ...]:
        """Names of the values that the metric reports, the headline first."""
        ...

    @property
    def HEADLINES(self) -> Mapping[str, int]:
        """Value -> sort number of its column in the default table (smaller is further left).

        Below 100: behaviour; then how much changed, in which shape, and from 230 what follows.
        """
        ...

    AXIS_LABEL: str
    """What to write on a figure's axis, with the unit or range."""

    def measure(self, sample: Sample, against: Sample | None) -> list[Measurement]:
        """Return values of every name in REPORTS (and both centrings). Never raises on the data."""
        ...


METRICS: Door[Metric] = Door("metric", "analysis.metrics", contract=Metric)
