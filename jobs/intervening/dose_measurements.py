"""Measurements of one intervention: behaviour at each dose, the share recovered, null bands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from analysis.estimates.evaluation import missing, with_estimate
from analysis.estimates.group_means import sums_and_counts
from analysis.estimates.intervals import Estimate, jackknife, student_quantile
from analysis.estimates.nulls import Band
from analysis.measurement import Measurement
from analysis.status import Status
from jobs.behaviour.behaviour_values import BehaviourValues
from jobs.intervening.targets import Absent

NAME = "intervention"
"""Axis of the intervention's name, in studies that have no axis of this name themselves."""
DIRECTION = "direction"
"""Axis of the direction's name, where doses are of its own length."""
AXIS = "dose"
"""The axis that the job sweeps itself: `0` is the unchanged model."""


@dataclass(frozen=True, kw_only=True)
class DoseValues:
    """Behaviours at one dose, in the order of the unchanged model's."""

    patched: Sequence[BehaviourValues]
    """Under the intervention."""
    controls: Sequence[Sequence[BehaviourValues]]
    """Under each random control."""


def measure_doses(
    plain: Sequence[BehaviourValues],
    other: Sequence[BehaviourValues],
    doses: Mapping[float, DoseValues | Absent],
    definition: str,
) -> Iterator[Measurement]:
    """Yield the behaviour at dose 0, then at every dose the behaviour and the share recovered.

    Args:
        plain: of the model that is changed, as it is.
        other: of the other model, in the same order.
        doses: behaviours at each dose, or why there are none.
        definition: what was done, with a place for the metric.
    """
    for number, values in enumerate(plain):
        words = definition.format(metric=values.metric) + values.definition.split(": ", 1)[1]
        blank = replace(values.blank, definition=words)
        patched, recovered = (
            replace(blank, metric=f"{what}_{values.metric}") for what in ("patched", "recovered")
        )
        untouched = replace(values.measured(), metric=patched.metric, definition=words)
        yield replace(untouched, axes={AXIS: "0"})
        for dose, at_dose in doses.items():
            axes = {AXIS: f"{dose:g}"}
            blanks = replace(patched, axes=axes), replace(recovered, axes=axes)
            if isinstance(at_dose, Absent):
                reason, status = at_dose.reason, Status(at_dose.status)
                yield from (missing(empty, reason, status) for empty in blanks)
                continue
            controls = [control[number] for control in at_dose.controls]
            changed = at_dose.patched[number]
            yield _patched(blanks[0], changed, controls)
            yield _recovered(blanks[1], values, changed, other[number], controls)


def _patched(
    blank: Measurement, values: BehaviourValues, controls: Sequence[BehaviourValues]
) -> Measurement:
    if values.missing is not None:
        return missing(blank, values.missing)
    ends, null = _null(controls), None
    if ends is not None:
        scaled = values.reported(Estimate(value=ends[0], low=ends[0], high=ends[1]))
        assert scaled.low is not None and scaled.high is not None
        null = Band(low=scaled.low, high=scaled.high)
    blank = replace(blank, uncounted=values.mean_left)
    return with_estimate(blank, values.estimate(), values.groups, note=values.note, null=null)


def _recovered(
    blank: Measurement,
    plain: BehaviourValues,
    patched: BehaviourValues,
    other: BehaviourValues,
    controls: Sequence[BehaviourValues],
) -> Measurement:
    for side in (plain, patched, other):
        if side.missing is not None:
            return missing(blank, side.missing)
    share = recovered_share(plain, patched, other)
    if isinstance(share, str):
        return missing(blank, share)
    ends, null = _null(controls), None
    if ends is not None:
        start = plain.values.mean()
        low, high = sorted(float((end - start) / (other.values.mean() - start)) for end in ends)
        null = Band(low=low, high=high)
    return with_estimate(blank, share, plain.groups, null=null)


def _null(controls: Sequence[BehaviourValues]) -> tuple[float, float] | None:
    """Return the band of the mean under one more random control, as far as it can go."""
    drawn = [control for control in controls if control.missing is None]
    means = [float(control.values.mean()) for control in drawn]
    band = null_band(means) if np.isfinite(means).all() else None
    if band is None or drawn[0].is_loss:
        return band
    return max(band[0], 0.0), min(band[1], 1.0)


_Means = tuple[float, Float64[np.ndarray, " groups"]]
"""Mean over all groups, and without each."""


def recovered_share(
    plain: BehaviourValues, patched: BehaviourValues, other: BehaviourValues
) -> Estimate | str:
    """Compute (patched - plain) / (other - plain) of the means, or say why there is no share.

    Losses are compared in nats. A share is not kept between 0 and 1: a patch may go too far.
    """
    groups = np.unique(plain.groups)
    for side in (patched, other):
        if not np.array_equal(groups, np.unique(side.groups)):
            return "the models were not measured on the same prompt groups"
    start, end, reached = (_means(side, groups) for side in (plain, other, patched))
    _, counts = sums_and_counts(plain.values, plain.groups, groups)
    way, went = end[0] - start[0], reached[0] - start[0]
    ways, wents = end[1] - start[1], reached[1] - start[1]
    whole = jackknife(way, ways, counts)
    reason = _no_way(whole)
    if reason is not None:
        return reason
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = wents / ways  # a share that is not finite leaves the estimate without interval
    return jackknife(went / way, shares, counts)


def null_band(numbers: Sequence[float]) -> tuple[float, float] | None:
    """Return the 95 % prediction interval (Student) of one more random control; None below two."""
    if len(numbers) < 2:
        return None
    drawn = np.array(numbers)
    spread = float(drawn.std(ddof=1)) * (1 + 1 / len(drawn)) ** 0.5
    half = student_quantile(len(drawn) - 1) * spread
    return float(drawn.mean()) - half, float(drawn.mean()) + half


def _no_way(difference: Estimate) -> str | None:
    """Say why the difference has no shares; None where it has."""
    low, high = difference.low, difference.high
    if difference.value == 0:
        return "the two models do not differ"
    if low is not None and high is not None and low <= 0 <= high:
        size = f"{difference.value:.3g}, 95 % interval {low:.3g} to {high:.3g}"
        return f"the two models do not differ surely: by {size}"
    return None


def _means(side: BehaviourValues, groups: np.ndarray) -> _Means:
    sums, counts = sums_and_counts(side.values, side.groups, groups)
    whole = float(sums.sum() / counts.sum())
    if len(groups) == 1:
        return whole, np.zeros(0)
    return whole, np.asarray((sums.sum() - sums) / (counts.sum() - counts))
