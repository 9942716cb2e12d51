"""From a sample to a measurement: checks of the rows, and the reason where there is no number."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import isfinite

import numpy as np
from jaxtyping import Int64

from analysis.estimates.intervals import MIN_GROUPS, Estimate
from analysis.estimates.nulls import Band
from analysis.measurement import NUM_GROUPS, LeftOut, Measurement
from analysis.rows.moments import Moments
from analysis.rows.spectra import Spectra
from analysis.rows.summary import Reservoir, Sample
from analysis.status import Status

TOO_LARGE = 1e140
"""Sums of squared norms from here on are refused: spectra square them, times numbers of rows."""


class UnmeasurableError(Exception):
    """The metric has no value on these rows; `status` and the message say why."""

    def __init__(self, reason: str, status: Status = Status.UNDEFINED) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, kw_only=True)
class Measured:
    """An estimate and what it rests on."""

    estimate: Estimate
    """The number and its interval."""
    num_rows: int
    """Rows that entered."""
    groups: Sequence[int] | None
    """Numbers of the prompt groups that entered, in the order of `left_out`; None: none does,
    and no interval is missed."""
    null: Band | None = None
    """Band of random directions or subspaces, where that is defined."""
    base_null: Band | None = None
    """Band of the base activations' covariance; None where no base rows are kept."""


def evaluate(
    metric: str,
    definition: str,
    centred: bool | None,
    sample: Sample,
    compute: Callable[[], Measured],
) -> Measurement:
    """Return what `compute()` measured, or a measurement without a number that says why."""
    about = Measurement(metric=metric, definition=definition, centred=centred)
    try:
        require_finite(sample)
        result = compute()
        if not isfinite(result.estimate.value):
            raise UnmeasurableError("the result overflows or is not a number")
    except UnmeasurableError as problem:
        return replace(
            missing(about, str(problem), problem.status),
            num_rows=sum(group.num_rows for group in sample.groups.values()),
            num_groups=sum(group.num_rows > 0 for group in sample.groups.values()),
        )
    return with_number(about, result)


def with_number(
    about: Measurement,
    result: Measured,
    *,
    note: str | None = None,
    few: str = "{} prompt groups hold rows",
) -> Measurement:
    """Return a measurement with its number, interval, bands and status filled in.

    Args:
        about: what was measured and where, without a number.
        result: the finite number and what it rests on.
        note: what to know about a good value.
        few: how the reason counts prompt groups that do not suffice for an interval.
    """
    estimate, num_groups = result.estimate, len(result.groups or ())
    bounded = all(end is not None and isfinite(end) for end in (estimate.low, estimate.high))
    too_few = result.groups is not None and num_groups < MIN_GROUPS
    reason = f"{few.format(num_groups)}, an interval needs {MIN_GROUPS}"
    if result.groups is not None and not (too_few or bounded or note):
        too_few, reason = (
            True,
            "few prompt groups make the number: without one of them there is none",
        )
    return replace(
        about,
        value=estimate.value,
        low=estimate.low if bounded else None,
        high=estimate.high if bounded else None,
        num_rows=result.num_rows,
        num_groups=num_groups,
        status=Status.TOO_FEW_GROUPS if too_few else Status.OK,
        reason=reason if too_few else note,
        null_low=result.null.low if result.null else None,
        null_high=result.null.high if result.null else None,
        base_null_low=result.base_null.low if result.base_null else None,
        base_null_high=result.base_null.high if result.base_null else None,
        left_out=_by_group(estimate.left_out, result.groups or ()),
    )


def _by_group(left_out: Sequence[float], groups: Sequence[int]) -> LeftOut | None:
    """Return the numbers by the number of the group left out; None where they are not known."""
    if not left_out:
        return None
    known = dict(zip(map(int, groups), left_out, strict=True))
    return tuple(known.get(group) for group in range(max(NUM_GROUPS, *(n + 1 for n in known))))


def with_estimate(
    about: Measurement,
    estimate: Estimate,
    groups: Int64[np.ndarray, " rows"],
    *,
    note: str | None = None,
    null: Band | None = None,
) -> Measurement:
    """Return a measurement with an estimate over rows of these prompt groups filled in.

    A model may compute numbers that are not finite, under a huge dose or in 16 bits: no value then.
    """
    if not isfinite(estimate.value):
        return missing(about, "what the model computes is not finite")
    result = Measured(
        estimate=estimate, num_rows=len(groups), groups=np.unique(groups).tolist(), null=null
    )
    return with_number(about, result, note=note, few="{} prompt groups")


def missing(about: Measurement, reason: str, status: Status = Status.UNDEFINED) -> Measurement:
    """Return a measurement without a number, and why there is none."""
    return replace(about, num_rows=0, num_groups=0, status=status, reason=reason)


def require_finite(sample: Sample) -> None:
    """Refuse samples without rows, or with rows that are not numbers."""
    num_rows = sum(group.num_rows for group in sample.groups.values())
    num_bad = sum(group.num_nonfinite for group in sample.groups.values())
    if num_bad:
        total = num_rows + num_bad
        raise UnmeasurableError(f"{num_bad} of {total} rows hold NaN or infinity")
    if num_rows == 0:
        raise UnmeasurableError("there are no rows", Status.TOO_FEW_GROUPS)


def require_against(sample: Sample | None) -> Sample:
    """Return the sample to compare with, if it was given and can be used."""
    if sample is None:
        raise UnmeasurableError("no condition to compare with was given", Status.NOT_RUN)
    require_finite(sample)
    return sample


def require_moments(sample: Sample) -> dict[int, Moments]:
    """Return moments of every group with rows."""
    found = {
        number: summary.moments for number, summary in sample.groups.items() if summary.num_rows
    }
    kept = {number: moments for number, moments in found.items() if moments is not None}
    if len(kept) < len(found):
        raise UnmeasurableError("no moments are kept at this position policy", Status.NOT_RUN)
    return kept


def require_spectra(sample: Sample, centred: bool) -> Spectra:
    """Return what spectral metrics share, of rows that have some variance."""
    require_moments(sample)
    traces = sample.spectra.traces(centred)
    require_energy(traces)
    if not traces.sum() < TOO_LARGE:
        raise UnmeasurableError("the squared norms of the rows overflow")
    if centred:
        _require_spread(sample, float(traces.sum() / sample.spectra.counts.sum()))
    return sample.spectra


def _require_spread(sample: Sample, square: float) -> None:
    """Refuse rows that differ from their mean by no more than the base differs from itself."""
    rounding = 0.0 if sample.rounding is None else float(sample.rounding.sum())
    noise = max(rounding, (sample.floor or 0.0) ** 2)
    if not square > noise:
        reason = (
            f"rows differ from their mean by {square**0.5:.3g}, by noise alone {noise**0.5:.3g}"
        )
        raise UnmeasurableError(reason, Status.BELOW_NOISE_FLOOR)


def require_kept(sample: Sample) -> Reservoir:
    """Return one kept row of every prompt, in which something moved."""
    if sample.reservoir is None:
        raise UnmeasurableError("no rows are kept at this position policy", Status.NOT_RUN)
    kept = sample.reservoir.one_per_prompt()
    if not np.isfinite(kept.rows).all():
        raise UnmeasurableError("kept rows hold NaN or infinity")
    if not kept.rows.any():
        raise UnmeasurableError("every row is zero", Status.BELOW_NOISE_FLOOR)
    return kept


def require_groups(num_groups: int, least: int) -> None:
    """Refuse fewer prompt groups than a value needs."""
    if num_groups < least:
        reason = f"{num_groups} usable prompt groups, at least {least} are needed"
        raise UnmeasurableError(reason, Status.TOO_FEW_GROUPS)


def require_energy(energies: Iterable[float]) -> None:
    """Refuse rows that are all zero (or, centred, all equal): they have no geometry."""
    if not max(energies, default=0.0) > 0:
        reason = "all rows are zero, or equal to their mean"
        raise UnmeasurableError(reason, Status.BELOW_NOISE_FLOOR)
