"""Every number of a study at one dose, in place of its snapshots.

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
snapshot, because that of a quantile or of a logarithm is not the jackknife's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import hypot
from typing import TYPE_CHECKING

import numpy as np

from analysis.dose.clock import Clock, Instant, NotAtDoseError
from analysis.dose.courses import gap_of, turning
from analysis.dose.doses import STEP_AT_DOSE, Dose
from analysis.dose.trajectories import (
    SNAPSHOT,
    Curve,
    Shifts,
    Trajectory,
    Values,
    curve_of,
    from_base,
    number,
    snapshot_axes,
    trajectories,
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


def at_equal_dose(
    rows: Iterable[Row], dose: Dose, *, circumstances: Mapping[str, Circumstances]
) -> list[Measurement]:
    """Read every number of every training at one dose.

    Args:
        rows: the long table, numbers of the base and of the dose itself included; only rows of
            snapshots, those whose circumstances have a step, are read.
        dose: what is held equal.
        circumstances: key of a job -> the circumstances of its measurements.

    Returns:
        A measurement for each number and training, seeds apart; its axis of snapshots is the dose's
        label, its key those of all jobs behind it. Where there is none, its reason says why. Of
        each training also `step_at_dose`.
    """
    rows = list(rows)
    axis = next(iter(snapshot_axes(rows, circumstances)), SNAPSHOT)
    curves = trajectories(rows, circumstances)
    clocks = Clocks.of([curve for curve in curves if curve.metric == dose.metric], dose)
    readings = [
        _Reading(trajectory=t, dose=dose, clock=clocks.of_training(t), axis=axis) for t in curves
    ]
    steps: dict[tuple[str, ...], Measurement] = {}
    for reading in readings:
        if reading.trajectory.metric == dose.metric and reading.clock is not None:
            steps.setdefault(reading.clock.trajectory.models, _step(reading))
    return [*(reading.measurement() for reading in readings), *steps.values()]


def rows_at(
    rows: Sequence[Row], doses: Iterable[Dose], circumstances: Mapping[str, Circumstances]
) -> tuple[list[Row], dict[str, Circumstances]]:
    """Return the rows of a long table at doses, the base's as they are, and their circumstances.

    Rows of aligned models that are no snapshots have no known dose and are left out, but for those
    with which a training with snapshots began: DPO after SFT.
    """
    known = dict(circumstances)
    begun = {about.base for about in known.values() if about.step is not None}

    def is_of_base(about: Circumstances) -> bool:
        is_end = about.alone and not about.midway
        return about.aligned is None or (is_end and about.aligned in begun)

    kept = [row for row in rows if (a := known.get(str(row["key"]))) is not None and is_of_base(a)]
    for dose in doses:
        for at_dose in at_equal_dose(rows, dose, circumstances=circumstances):
            kept.append(at_dose.as_row())
            if at_dose.key is not None:
                known[at_dose.key] = replace(
                    circumstances[at_dose.keys[0]], step=None, midway=False
                )
    return kept, known


@dataclass(frozen=True, kw_only=True, eq=False)
class DoseOfTraining:
    """The dose of one training at its snapshots."""

    trajectory: Trajectory
    """The measurements that it was read from."""
    clock: Clock
    """At which step it stood at which dose."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Clocks:
    """The doses of all trainings."""

    by_model: Mapping[str, Sequence[DoseOfTraining]]
    """Key of a snapshot's model -> its training's, the preferred one first."""

    @classmethod
    def of(cls, measured: Sequence[Trajectory], dose: Dose) -> Clocks:
        """Fit the dose of every training; of several sets of prompts, plain ones come first."""
        by_model: dict[str, list[DoseOfTraining]] = {}
        ranked = sorted(measured, key=lambda trajectory: _rank(trajectory))
        for trajectory in ranked:
            if (curve := _dose_curve(trajectory, dose)) is not None:
                own = DoseOfTraining(trajectory=trajectory, clock=Clock.of(curve))
                for model in trajectory.models:
                    by_model.setdefault(model, []).append(own)
        return cls(by_model=by_model)

    def of_training(self, trajectory: Trajectory) -> DoseOfTraining | None:
        """Return the dose of the training behind a trajectory; None where it was not measured."""
        known = (self.by_model[model] for model in trajectory.models if model in self.by_model)
        return next((own[0] for own in known), None)


def _rank(trajectory: Trajectory) -> tuple[bool, bool, int]:
    """Rank what a dose is read from: plain prompts or own pairs, tokens alike, many snapshots."""
    about = trajectory.about
    is_changed = about.prompts is not None and (not about.is_plain or about.is_along_answer)
    is_other = about.foreign or is_changed
    return is_other, str(trajectory.rows[-1]["position"]) != "last", -len(trajectory.steps)


def _dose_curve(trajectory: Trajectory, dose: Dose) -> Curve | None:
    """Return the dose over the step from 0 at the base; None where no snapshot has one."""
    curve = curve_of(trajectory)
    later, shifts = curve.steps > 0, curve.shifts
    if not later.any() or (dose.is_fall and later[0]):
        return None
    if dose.is_fall:
        shifts = shifts and replace(shifts, moves=shifts.moves[0] - shifts.moves)
        curve = replace(curve, values=curve.values[0] - curve.values)
    kept = Curve(
        steps=curve.steps[later],
        values=curve.values[later],
        shifts=shifts and replace(shifts, moves=shifts.moves[later]),
        halves=curve.halves[:, later],
    )
    return from_base(kept, 0.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Reading:
    """One number of one training, to be read at a dose."""

    trajectory: Trajectory
    """The number at the snapshots."""
    dose: Dose
    """What is held equal."""
    clock: DoseOfTraining | None
    """When the training stood where; None: its dose was not measured."""
    axis: str
    """The axis that the dose stands on."""

    def measurement(self) -> Measurement:
        """Return the number at the dose, or a measurement that says why there is none."""
        try:
            instant = self._instant()
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

    def _instant(self) -> Instant:
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
        return replace(read, low=low, high=high, left_out=_left_out(value, whole))

    def _half(self, curve: Curve, side: Values, step: float, of_dose: Shifts) -> float:
        """Return the distance to one end of the interval; `side`: those at the snapshots."""
        assert curve.shifts is not None and self.clock is not None
        plain = curve.shifts.halves
        factors = np.divide(side, plain, out=np.ones(len(side)), where=plain > 0)
        own = curve.shifts.scaled(factors).at(step, curve.steps)
        if _share_prompts(self.trajectory.about, self.clock.trajectory.about):
            return float(own.minus(of_dose).halves[0])
        return hypot(float(own.halves[0]), float(of_dose.halves[0]))


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


def _left_out(value: float, shifts: Shifts) -> LeftOut:
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


def _step(reading: _Reading) -> Measurement:
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
        instant = reading._instant()
    except NotAtDoseError as problem:
        return replace(about, status=Status.NOT_AT_DOSE, reason=str(problem))
    about = replace(about, value=instant.step)
    if instant.shifts is None or instant.shifts.present.sum() < MIN_GROUPS:
        return replace(about, reason=f"{reading.dose.metric} without each prompt group not known")
    pace = (instant.after - instant.before) / instant.rise
    moved = replace(instant.shifts, moves=-pace * instant.shifts.moves)
    half = hypot(float(moved.halves[0]), pace * instant.gap)
    left_out = _left_out(instant.step, moved)
    low = possible(STEP_AT_DOSE, instant.step - half)
    return replace(about, low=low, high=instant.step + half, left_out=left_out)
