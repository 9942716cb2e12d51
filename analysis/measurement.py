"""`Measurement`: one number, how sure it is, what it is held against, or why it is missing."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.status import Status


@dataclass(frozen=True, kw_only=True)
class Measurement:
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
