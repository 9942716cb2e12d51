"""Contract of a metric, and the one Measurement it reports.

A metric is one file in `metrics/`; its name is the file's. Axes in signatures: `rows` (activation
rows, a row per prompt and position), `d` (model width), `groups` (prompt groups, at most 20), `k`
(rows of a factor, or leading axes), `m` (any axes), `draws` (bootstrap), `bins`, `columns`.
"""

from __future__ import annotations

from typing import Protocol

from analysis.measurement import Measurement
from analysis.rows.summary import Sample


class Metric(Protocol):
    """What a module in `metrics/` provides; and NEEDS_TOXIC where it is True.

    NEEDS_TOXIC: it reads the sample's toxic directions or neurons, which a probe of the base finds.
    """

    DEFINITION: str
    """One line with its version: what the number is, precisely enough to compute it again."""
    NEEDS_AGAINST: bool
    """Whether it compares the sample with another one (another condition of the same model)."""
    REPORTS: tuple[str, ...]
    """Names of the values it reports, the one to show first."""
    AXIS_LABEL: str
    """What to write on a figure's axis, with the unit or range."""

    def measure(self, sample: Sample, against: Sample | None) -> list[Measurement]:
        """Values of every name in REPORTS (and both centrings). Never raises on the data."""
        ...
