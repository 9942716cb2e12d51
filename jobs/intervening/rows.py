"""Rows of measurements of one intervention: behaviour at each dose, the share recovered, bands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.estimates.intervals import Estimate
from analysis.status import Status
from jobs.behaviour.outcome import Outcome, Row
from jobs.intervening.recovery import band, recovered
from jobs.intervening.targets import Absent
from jobs.worker.group_estimate import estimated_mean, measured, unmeasured

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
) -> Iterator[Row]:
    """Every row.

    Args:
        plain: of the model that is changed, as it is.
        other: of the other model, in the same order.
        doses: what was found at each, or why nothing was.
        definition: what was done, with a place for whose behaviour it is.
    """
    for number, outcome in enumerate(plain):
        told = definition.format(metric=outcome.metric) + outcome.definition.removeprefix("v1: ")
        about: Row = {"definition": told, "position": outcome.position}
        names = [f"{what}_{outcome.metric}" for what in ("patched", "recovered")]
        yield outcome.as_row() | about | {"metric": names[0], AXIS: "0"}
        for dose, found in doses.items():
            here = about | {AXIS: f"{dose:g}"}
            pair = [_absent(found)] * 2 if isinstance(found, Absent) else None
            if pair is None:
                assert isinstance(found, Measured)
                controls = [each[number] for each in found.controls]
                pair = [
                    _patched(found.patched[number], controls),
                    _recovered(outcome, found.patched[number], other[number], controls),
                ]
            yield from (
                here | {"metric": name} | row for name, row in zip(names, pair, strict=True)
            )


def _patched(outcome: Outcome, controls: Sequence[Outcome]) -> Row:
    if outcome.missing is not None:
        return unmeasured(outcome.missing)
    estimate = outcome.reported(estimated_mean(outcome.values, outcome.groups))
    null = _null(controls)
    ends = outcome.reported(Estimate(value=null[0], low=null[0], high=null[1])) if null else None
    row = measured(estimate, outcome.groups, outcome.note)
    return row | ({"null_low": ends.low, "null_high": ends.high} if ends else {})


def _recovered(
    plain: Outcome, patched: Outcome, other: Outcome, controls: Sequence[Outcome]
) -> Row:
    for outcome in (plain, patched, other):
        if outcome.missing is not None:
            return unmeasured(outcome.missing)
    share = recovered(plain, patched, other)
    if isinstance(share, str):
        return unmeasured(share)
    row = measured(share, plain.groups, None)
    null = _null(controls)
    if null is None:
        return row
    start = plain.values.mean()
    ends = sorted(float((end - start) / (other.values.mean() - start)) for end in null)
    return row | {"null_low": ends[0], "null_high": ends[1]}


def _null(controls: Sequence[Outcome]) -> tuple[float, float] | None:
    """Where the mean would lie under one more random control, as far as it can go."""
    drawn = [each for each in controls if each.missing is None]
    means = [float(each.values.mean()) for each in drawn]
    found = band(means) if np.isfinite(means).all() else None
    if found is None or drawn[0].is_loss:
        return found
    return max(found[0], 0.0), min(found[1], 1.0)


def _absent(absent: Absent) -> Row:
    return unmeasured(absent.reason) | {"status": Status(absent.status).value}
