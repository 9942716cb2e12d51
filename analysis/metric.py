"""Contract of a metric, and the one Value it reports.

A metric is one file in `metrics/`; its name is the file's. Axes in signatures: `rows` (activation
rows, a row per prompt and position), `d` (model width), `groups` (prompt groups, at most 20), `k`
(rows of a factor, or leading axes), `m` (any axes), `draws` (bootstrap), `bins`, `columns`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from analysis.rows.summary import Sample
from analysis.status import Status


@dataclass(frozen=True, kw_only=True)
class Value:
    """One number at one site, layer, position policy and condition, or why there is none."""

    metric: str
    """What was measured; one metric file may report several."""
    definition: str
    """The metric file's DEFINITION."""
    centred: bool | None
    """Whether the rows' own mean was taken off first; None where the question does not arise."""
    value: float | None
    """The number; given with `too_few_groups` too, where it exists without an interval."""
    low: float | None
    """Lower end of the 95 % interval over prompt groups."""
    high: float | None
    """Upper end of the 95 % interval over prompt groups."""
    num_rows: int
    """Rows that entered."""
    num_groups: int
    """Prompt groups that entered."""
    status: Status
    """OK, or what to know before reading the value."""
    reason: str | None
    """One sentence for every status but OK."""
    null_low: float | None = None
    """Lower end of the 95 % band of random directions or subspaces at the same d."""
    null_high: float | None = None
    """Upper end of that band."""
    base_null_low: float | None = None
    """Lower end of the 95 % band of what the base activations' own covariance gives."""
    base_null_high: float | None = None
    """Upper end of that band; anisotropy alone reaches so far."""


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

    def measure(self, sample: Sample, against: Sample | None) -> list[Value]:
        """Values of every name in REPORTS (and both centrings). Never raises on the data."""
        ...
