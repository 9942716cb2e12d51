"""One number of one training at a dose, read between its snapshots.

A training stands at the dose at one step (`clock.py`), and a number is read there between its
snapshots by a cubic (`courses.py`), never beyond them; how far straight lines and parabolas through
the same numbers lie from that is joined to the interval in squares: nobody measured what is between
two snapshots. Where the dose is a snapshot's own, the number is that snapshot's, whatever its
neighbours have. At the base a number is known where the study measured it or its definition says it
(`AT_BASE`): only then is it read before the first snapshot.

The interval is the delete-group jackknife of the whole reading, to first order: without a prompt
group the number moves by its own shift less (change of the number over change of the dose between
the two snapshots) times the shift of the dose. A dose that was itself measured, of another
training, has a shift of its own, which is taken from that. Where number and dose are of the same
prompts, a group is left out of both at a time. Where they are not, their groups have nothing to do
with each other: variances add. A number's own shifts are drawn out to its own interval at each
snapshot, because that of a quantile or of a logarithm is not the jackknife's. Where no group moves
a number, as a share of 0 or 1, its own interval there counts as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import hypot
from typing import TYPE_CHECKING

import numpy as np

from analysis.dose.clock import Instant, NotAtDoseError
from analysis.dose.clocks import DoseOfTraining
from analysis.dose.courses import gap_of, turning
from analysis.dose.doses import STEP_AT_DOSE, Dose
from analysis.dose.trajectories import (
    Curve,
    Shifts,
    Trajectory,
    Values,
    curve_of,
    number,
)
from analysis.estimates.intervals import MIN_GROUPS
from analysis.long_table.circumstances import Circumstances
from analysis.long_table.ranges import possible
from analysis.measurement import CONTROLS, LeftOut, Measurement, Row
from analysis.status import Status

if TYPE_CHECKING:
    from scipy.interpolate import CubicHermiteSpline

ONE_SNAPSHOT = "measured at one snapshot alone, so how it moves with the dose is not known"
DEFINITION = "v1: training step at which the model stood at the dose, between snapshots"


@dataclass(frozen=True, kw_only=True, eq=False)
class Reading:
    """One number of one training, to be read at a dose."""

    trajectory: Trajectory
    """The number at the snapshots."""
    dose: Dose
    """The dose that is held equal."""
    clock: DoseOfTraining | None
    """When the training stood where; None: its dose was not measured."""
    axis: str
    """The axis that the dose stands on."""

    def measurement(self) -> Measurement:
        """Return the number at the dose, or a measurement that says why there is none."""
        try:
            instant = self.instant()
            return self._held_equal() if self._is_the_dose else self._at(instant)
        except NotAtDoseError as problem:
            return replace(self.blank, status=Status.NOT_AT_DOSE, reason=str(problem))

    @property
    def _is_the_dose(self) -> bool:
        """Whether the number is the very one that is held equal."""
        is_own = self.clock is not None and self.clock.trajectory is self.trajectory
        return is_own and not self.dose.is_fall

    def _held_equal(self) -> Measurement:
        """Return the dose itself: without any error, because it was chosen."""
        at = self.dose.at
        return replace(self.blank, value=at, low=at, high=at)

    @property
    def blank(self) -> Measurement:
        """The measurement without any number."""
        rows = list(self.trajectory.rows)
        if self.clock is not None:
            rows += self.clock.trajectory.rows
        keys = dict.fromkeys(key for row in rows for key in str(row["key"]).split())
        of_last = Measurement.from_row(self.trajectory.rows[-1])
        axes = {**of_last.axes, self.axis: self.dose.label}
        empty = {name: None for name in (*CONTROLS, "value", "low", "high", "left_out")}
        return replace(
            of_last,
            axes=axes,
            key=" ".join(keys),
            status=Status.OK,
            reason=None,
            **empty,  # type: ignore[arg-type]  # every one of these may be missing
        )

    def instant(self) -> Instant:
        """Return where the training stood at the dose. Raises NotAtDoseError."""
        if self.clock is None:
            where = "at its snapshots" + (" and in the base" if self.dose.is_fall else "")
            raise NotAtDoseError(f"{self.dose.metric} was not measured {where}")
        instant = self.clock.clock.at(self.dose.at, self.dose.what)
        asked = _shifts_of(self.dose)
        if instant.shifts is None or asked is None:
            return replace(instant, shifts=None)
        return replace(instant, shifts=instant.shifts.minus(asked))

    def _at(self, instant: Instant) -> Measurement:
        curve, step = curve_of(self.trajectory), instant.step
        around = self._around(curve, step)
        if (hole := next((row for row in around if row["value"] is None), None)) is not None:
            return replace(
                self.blank, status=Status(str(hole["status"])), reason=str(hole["reason"])
            )
        read = _between(self.blank, around, self.trajectory, step)
        if len(curve.steps) < 2:
            value = float(curve.values[0])
            return replace(read, value=value, reason=read.reason or ONE_SNAPSHOT)
        course = turning(curve.steps, curve.values)
        value = possible(read.metric, float(course(np.clip(step, *curve.steps[[0, -1]]))))
        steepness = _steepness(course, curve, instant)
        gap = hypot(gap_of(course, curve.steps, curve.values, step), steepness * instant.gap)
        return self._with_interval(replace(read, value=value), curve, instant, steepness, gap)

    def _around(self, curve: Curve, step: float) -> list[Row]:
        """Return the snapshots between which a step lies, or the one that it is.

        Before the first one that is the first, with the base, where the number is known there.
        """
        steps, rows = self.trajectory.steps, self.trajectory.rows
        if not len(curve.steps):
            return [rows[-1]]
        behind = int(np.searchsorted(steps, step))
        if behind == len(steps):
            if step > steps[-1] * (1 + 1e-9):
                raise NotAtDoseError(
                    f"the dose was reached at step {step:.4g}, behind step {steps[-1]}, the last "
                    "at which this was measured"
                )
            return [rows[-1]]
        if steps[behind] == step:
            return [rows[behind]]
        if behind == 0 and steps[0] > step and curve.steps[0] > 0:
            raise NotAtDoseError(
                f"the dose was passed at step {step:.4g}, before step {steps[0]}, the first "
                "snapshot at which this was measured, and what it is of the base is not known"
            )
        first = [rows[behind - 1]] if behind else []
        return [*first, rows[behind]]

    def _with_interval(
        self, read: Measurement, curve: Curve, instant: Instant, steepness: float, gap: float
    ) -> Measurement:
        lacking = [
            name
            for name, shifts in ((read.metric, curve.shifts), (self.dose.metric, instant.shifts))
            if shifts is None
        ]
        if lacking or curve.shifts is None or instant.shifts is None:
            reason = f"{' and '.join(lacking)} not known without each prompt group: no interval"
            return replace(read, reason=read.reason or reason)
        of_dose = replace(instant.shifts, moves=instant.shifts.moves * steepness)
        halves = [
            hypot(self._half(curve, side, instant.step, of_dose), gap) for side in curve.halves
        ]
        whole = curve.shifts.at(instant.step, curve.steps).minus(of_dose)
        if whole.present.sum() < MIN_GROUPS:
            return read
        value = number(read.as_row(), "value")
        low, high = (possible(read.metric, end) for end in (value - halves[0], value + halves[1]))
        return replace(read, low=low, high=high, left_out=left_out_at(value, whole))

    def _half(self, curve: Curve, side: Values, step: float, of_dose: Shifts) -> float:
        """Return the distance to one end of the interval; `side`: those at the snapshots."""
        assert curve.shifts is not None and self.clock is not None
        plain = curve.shifts.halves
        factors = np.divide(side, plain, out=np.ones(len(side)), where=plain > 0)
        own = curve.shifts.scaled(factors).at(step, curve.steps)
        # A share of 1 is the same without any group, and its interval is wide.
        unmoved = float(np.interp(step, curve.steps, np.where(plain > 0, 0.0, side)))
        if _share_prompts(self.trajectory.about, self.clock.trajectory.about):
            return unmoved + float(own.minus(of_dose).halves[0])
        return hypot(unmoved + float(own.halves[0]), float(of_dose.halves[0]))


def _shifts_of(dose: Dose) -> Shifts | None:
    """Return what leaving out each prompt group adds to the dose that is asked for."""
    if dose.left_out is None:
        return None
    moves = [[0.0 if left is None else left - dose.at for left in dose.left_out]]
    present = [left is not None for left in dose.left_out]
    return Shifts(moves=np.array(moves), present=np.array(present, dtype=bool))


def _steepness(course: CubicHermiteSpline, curve: Curve, instant: Instant) -> float:
    """Return by how much the number changes with the dose between the pools around an instant.

    Where it is known on a part of the way alone, or at one end, its slope there counts.
    """
    pools = np.array([instant.before, instant.after])
    first, last = np.clip(pools, curve.steps[0], curve.steps[-1])
    slope = course(first, 1) if first == last else (course(last) - course(first)) / (last - first)
    return float(slope * np.diff(pools)[0]) / instant.rise


def _share_prompts(first: Circumstances, second: Circumstances) -> bool:
    """Whether two numbers are of the same prompts or pairs: their groups are the same groups."""
    names = ("source", "pairs")
    both = [tuple(getattr(about, name) for name in names) for about in (first, second)]
    return both[0] == both[1] != (None, None)


def left_out_at(value: float, shifts: Shifts) -> LeftOut:
    """Return the number without each group.

    Prompts of another kind lose their group of the same number: a delete-a-group jackknife deletes
    one group of each stratum at a time (Kott 2001, *The delete-a-group jackknife*), so fits over
    sizes that share both go on as before.
    """
    pairs = zip(shifts.moves[0], shifts.present, strict=True)
    return tuple(value + float(move) if here else None for move, here in pairs)


def _between(
    blank: Measurement, around: Sequence[Row], trajectory: Trajectory, step: float
) -> Measurement:
    """Return floor and null bands at a step, the counts behind a number there, and its status."""
    steps = [trajectory.steps[trajectory.rows.index(row)] for row in around]
    numbers = [Measurement.from_row(row) for row in around]
    odd = next((n for n in numbers if n.status is not Status.OK), blank)
    controls = {
        name: float(np.interp(step, steps, np.array(known, dtype=float)))
        for name in CONTROLS
        if None not in (known := [getattr(n, name) for n in numbers])
    }
    return replace(
        blank,
        num_rows=min((n.num_rows for n in numbers if n.num_rows is not None), default=None),
        num_groups=min((n.num_groups for n in numbers if n.num_groups is not None), default=None),
        coverage=min((n.coverage for n in numbers if n.coverage is not None), default=None),
        uncounted=max((n.uncounted for n in numbers if n.uncounted is not None), default=None),
        status=odd.status,
        reason=odd.reason,
        **controls,  # type: ignore[arg-type]  # they are numbers, all of them
    )


def step_at_dose(reading: Reading) -> Measurement:
    """Return when a training stood at the dose."""
    blank = reading.blank
    about = replace(
        blank,
        metric=STEP_AT_DOSE,
        definition=DEFINITION,
        site=None,
        layer=None,
        depth=None,
        position=None,
        centred=None,
        coverage=None,
    )
    try:
        instant = reading.instant()
    except NotAtDoseError as problem:
        return replace(about, status=Status.NOT_AT_DOSE, reason=str(problem))
    about = replace(about, value=instant.step)
    if instant.shifts is None or instant.shifts.present.sum() < MIN_GROUPS:
        return replace(about, reason=f"{reading.dose.metric} without each prompt group not known")
    pace = (instant.after - instant.before) / instant.rise
    moved = replace(instant.shifts, moves=-pace * instant.shifts.moves)
    half = hypot(float(moved.halves[0]), pace * instant.gap)
    left_out = left_out_at(instant.step, moved)
    low = possible(STEP_AT_DOSE, instant.step - half)
    return replace(about, low=low, high=instant.step + half, left_out=left_out)
