"""Rows of measurements of one intervention: behaviour at each dose, the share recovered, bands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from analysis.estimates.evaluation import missing, with_estimate
from analysis.estimates.group_means import estimated_mean
from analysis.estimates.intervals import Estimate
from analysis.estimates.nulls import Band
from analysis.measurement import Measurement
from analysis.status import Status
from jobs.behaviour.outcome import Outcome
from jobs.intervening.recovery import band, recovered
from jobs.intervening.targets import Absent

NAME = "intervention"
"""The axis that says what was done, in studies that have no axis of this name themselves."""
AXIS = "dose"
"""The axis that the job sweeps itself: `0` is the unchanged model."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Outcomes of one dose, in the order of the unchanged model's."""

    patched: Sequence[Outcome]
    """Of the intervention."""
    controls: Sequence[Sequence[Outcome]]
    """Of each random control."""


def rows(
    plain: Sequence[Outcome],
    other: Sequence[Outcome],
    doses: Mapping[float, Measured | Absent],
    definition: str,
) -> Iterator[Measurement]:
    """Every row.

    Args:
        plain: of the model that is changed, as it is.
        other: of the other model, in the same order.
        doses: what was found at each, or why nothing was.
        definition: what was done, with a place for whose behaviour it is.
    """
    for number, outcome in enumerate(plain):
        told = definition.format(metric=outcome.metric) + outcome.definition.removeprefix("v1: ")
        blank = Measurement(metric="", definition=told, position=outcome.position)
        patched, recovered_share = (
            replace(blank, metric=f"{what}_{outcome.metric}") for what in ("patched", "recovered")
        )
        untouched = replace(outcome.measured(), metric=patched.metric, definition=told)
        yield replace(untouched, axes={AXIS: "0"})
        for dose, found in doses.items():
            axes = {AXIS: f"{dose:g}"}
            blanks = replace(patched, axes=axes), replace(recovered_share, axes=axes)
            if isinstance(found, Absent):
                yield from (missing(each, found.reason, Status(found.status)) for each in blanks)
                continue
            controls = [each[number] for each in found.controls]
            changed = found.patched[number]
            yield _patched(blanks[0], changed, controls)
            yield _recovered(blanks[1], outcome, changed, other[number], controls)


def _patched(blank: Measurement, outcome: Outcome, controls: Sequence[Outcome]) -> Measurement:
    if outcome.missing is not None:
        return missing(blank, outcome.missing)
    estimate = outcome.reported(estimated_mean(outcome.values, outcome.groups))
    ends = _null(controls)
    null = None
    if ends is not None:
        shown = outcome.reported(Estimate(value=ends[0], low=ends[0], high=ends[1]))
        assert shown.low is not None and shown.high is not None
        null = Band(low=shown.low, high=shown.high)
    return with_estimate(blank, estimate, outcome.groups, note=outcome.note, null=null)


def _recovered(
    blank: Measurement,
    plain: Outcome,
    patched: Outcome,
    other: Outcome,
    controls: Sequence[Outcome],
) -> Measurement:
    for outcome in (plain, patched, other):
        if outcome.missing is not None:
            return missing(blank, outcome.missing)
    share = recovered(plain, patched, other)
    if isinstance(share, str):
        return missing(blank, share)
    ends, null = _null(controls), None
    if ends is not None:
        start = plain.values.mean()
        low, high = sorted(float((end - start) / (other.values.mean() - start)) for end in ends)
        null = Band(low=low, high=high)
    return with_estimate(blank, share, plain.groups, null=null)


def _null(controls: Sequence[Outcome]) -> tuple[float, float] | None:
    """Where the mean would lie under one more random control, as far as it can go."""
    drawn = [each for each in controls if each.missing is None]
    means = [float(each.values.mean()) for each in drawn]
    found = band(means) if np.isfinite(means).all() else None
    if found is None or drawn[0].is_loss:
        return found
    return max(found[0], 0.0), min(found[1], 1.0)
