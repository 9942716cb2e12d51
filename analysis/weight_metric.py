"""Contract of a metric of weights, and how it says a number or why there is none.

A metric of weights is one file in `weight_metrics/`. Its signature follows what it looks at: a
tensor, a down projection, or value vectors beside mean offsets. Axes: `neurons`, `d` (width of the
residual stream), `leave` (all prompt groups, then without each), `draws`, `bins`.
"""

from __future__ import annotations

from math import isfinite
from typing import Protocol

from analysis.estimates.intervals import MIN_GROUPS, Estimate
from analysis.estimates.nulls import Band
from analysis.measurement import Measurement
from analysis.status import Status


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


def of_weights(
    metric: str, definition: str, value: float, *, num_rows: int, null: Band | None = None
) -> Measurement:
    """A number that no prompt enters: it has no interval, and `num_rows` counts vectors."""
    return Measurement(
        metric=metric,
        definition=definition,
        centred=None,
        value=value,
        low=None,
        high=None,
        num_rows=num_rows,
        num_groups=0,
        status=Status.OK,
        reason=None,
        null_low=null.low if null else None,
        null_high=null.high if null else None,
    )


def of_offset(
    metric: str,
    definition: str,
    estimate: Estimate,
    *,
    num_rows: int,
    num_groups: int,
    null: Band | None = None,
) -> Measurement:
    """A number that a mean offset enters: its interval is over the offset's prompt groups."""
    few = num_groups < MIN_GROUPS
    reason = f"{num_groups} prompt groups hold rows, an interval needs {MIN_GROUPS}"
    bounded = all(end is not None and isfinite(end) for end in (estimate.low, estimate.high))
    return Measurement(
        metric=metric,
        definition=definition,
        centred=None,
        value=estimate.value,
        low=estimate.low if bounded else None,
        high=estimate.high if bounded else None,
        num_rows=num_rows,
        num_groups=num_groups,
        status=Status.TOO_FEW_GROUPS if few else Status.OK,
        reason=reason if few else None,
        null_low=null.low if null else None,
        null_high=null.high if null else None,
    )


def absent(metric: str, definition: str, status: Status, reason: str) -> Measurement:
    """No number, and why."""
    return Measurement(
        metric=metric,
        definition=definition,
        centred=None,
        value=None,
        low=None,
        high=None,
        num_rows=0,
        num_groups=0,
        status=status,
        reason=reason,
    )
