"""The numbers of one training at its snapshots, as curves over the step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float64

from analysis.estimates.intervals import jackknife_variances, student_quantile
from analysis.long_table.circumstances import Circumstances
from analysis.long_table.columns import axes_of
from analysis.measurement import IDENTITY, Row, Scalar, left_out_of

SNAPSHOT = "snapshot"
"""Axis that says at which dose a number stands, where a study's snapshots have no axis."""
Values = Float64[np.ndarray, " steps"]

AT_BASE: Mapping[str, float] = {
    **dict.fromkeys(("offset_norm", "offset_norm_p05", "offset_norm_p95"), 0.0),
    **dict.fromkeys(("relative_norm", "relative_norm_p05", "relative_norm_p95"), 0.0),
    **dict.fromkeys(("toxic_activation_drop", "reactivation"), 0.0),
    **dict.fromkeys(("gate_linear_split_gate", "gate_linear_split_linear"), 0.0),
    **dict.fromkeys(("token_kl", "token_kl_mean", "kl_per_token"), 0.0),
    **dict.fromkeys(("logit_lens_drop", "logit_lens_answer_drop"), 0.0),
    **dict.fromkeys(("reward_margin", "reward_margin_per_token"), 0.0),
    **dict.fromkeys(("chosen_logp_change", "rejected_logp_change"), 0.0),
    **dict.fromkeys(("weight_drift", "weight_drift_whole"), 0.0),
    **dict.fromkeys(("weight_drift_least_cosine", "weight_drift_whole_least_cosine", "cka"), 1.0),
}
"""Value -> what it is of the base against itself, exactly; a direction of δ has no such value."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Trajectory:
    """One number at the snapshots of one training."""

    steps: tuple[int, ...]
    """Training steps, ascending."""
    rows: tuple[Row, ...]
    """Its measurement at each, whatever its status."""
    models: tuple[str, ...]
    """Key of the model at each."""
    about: Circumstances
    """Circumstances of the last one."""
    base: Row | None = None
    """The same number of the base; None where the study did not measure it."""

    @property
    def metric(self) -> str:
        """Name of the number."""
        return str(self.rows[-1]["metric"])


def trajectories(
    rows: Iterable[Row], circumstances: Mapping[str, Circumstances]
) -> list[Trajectory]:
    """Return one trajectory per number and training, seeds apart; rows of no snapshot are none.

    Args:
        rows: the long table.
        circumstances: key of a job -> the circumstances of its measurements.
    """
    rows = list(rows)
    along = snapshot_axes(rows, circumstances)
    bases: dict[tuple[Scalar, ...], list[Row]] = {}
    groups: dict[tuple[Scalar, ...], dict[int, Row]] = {}
    for row in rows:
        about = circumstances.get(str(row["key"]))
        if about is None:
            continue
        if about.aligned is None:
            bases.setdefault(_place(row, about), []).append(row)
        elif about.alone and not about.midway:  # DPO after SFT begins with SFT's model
            begun: Row = {**row, **dict.fromkeys(axes_of(row))}
            bases.setdefault(_place(row, replace(about, base=about.aligned)), []).append(begun)
        if about.step is not None:
            axes = (row[axis] for axis in axes_of(row) if axis not in along)
            compared = about.against_prompts, about.against_objective, about.intervention
            place = (about.run, *axes, *_place(row, about), *compared)
            groups.setdefault(place, {}).setdefault(about.step, row)
    return [_trajectory(by_step, circumstances, bases) for by_step in groups.values()]


def snapshot_axes(
    rows: Sequence[Row], circumstances: Mapping[str, Circumstances]
) -> tuple[str, ...]:
    """Return the axes that tell snapshots of one run apart, and never numbers of one snapshot."""
    values: dict[str, dict[tuple[str | None, str | None], set[Scalar]]] = {}
    runs: dict[str, dict[str | None, set[Scalar]]] = {}
    for row in rows:
        about = circumstances.get(str(row["key"]))
        if about is None or about.step is None:
            continue
        for axis in axes_of(row):
            values.setdefault(axis, {}).setdefault((about.run, about.aligned), set()).add(row[axis])
            runs.setdefault(axis, {}).setdefault(about.run, set()).add(row[axis])
    return tuple(
        axis
        for axis, by_model in values.items()
        if all(len(of_model) == 1 for of_model in by_model.values())
        and any(len(of_run) > 1 for of_run in runs[axis].values())
    )


def ends_of_trainings(rows: Sequence[Row], circumstances: Mapping[str, Circumstances]) -> list[Row]:
    """Return rows without those of models on the way; what training left is measured once.

    Jobs that left nothing have no circumstances: of a snapshot they are left out, too.
    """
    abouts = [circumstances.get(str(row["key"])) for row in rows]
    if all(about is None or about.step is None for about in abouts):
        return list(rows)
    along = snapshot_axes(rows, circumstances)
    pairs = list(zip(rows, abouts, strict=True))
    whole = {(row["metric"], about.run) for row, about in pairs if about and about.step is None}
    blank: Row = dict.fromkeys(along)
    kept: list[Row] = []
    for row, about in pairs:
        if about is None:
            kept += [row] if all(row[axis] is None for axis in along) else []
        elif about.step is None:
            kept.append(row)
        elif not about.midway and (row["metric"], about.run) not in whole:
            kept.append({**row, **blank})
    return kept


def _place(row: Row, about: Circumstances) -> tuple[Scalar, ...]:
    names = (row[name] for name in IDENTITY)
    return (*names, about.base, about.prompts, about.prefill, about.pairs)


def _trajectory(
    by_step: Mapping[int, Row],
    circumstances: Mapping[str, Circumstances],
    bases: Mapping[tuple[Scalar, ...], Sequence[Row]],
) -> Trajectory:
    steps = tuple(sorted(by_step))
    rows = tuple(by_step[step] for step in steps)
    abouts = [circumstances[str(row["key"])] for row in rows]
    place = _place(rows[-1], abouts[-1])
    return Trajectory(
        steps=steps,
        rows=rows,
        models=tuple(str(about.aligned) for about in abouts),
        about=abouts[-1],
        base=next((b for b in bases.get(place, ()) if _is_base_of(b, rows[-1])), None),
    )


def _is_base_of(base: Row, row: Row) -> bool:
    """Whether a number of the base is of the cell of another: it has no axis of another value."""
    return all(base[axis] in (None, row[axis]) for axis in axes_of(row))


@dataclass(frozen=True, kw_only=True, eq=False)
class Shifts:
    """What leaving out each prompt group adds to a number, at each of several steps."""

    moves: Float64[np.ndarray, "steps groups"]
    """By the group's number; 0 of a group without rows."""
    present: Bool[np.ndarray, " groups"]
    """Whether a group has rows at any of the steps."""

    def at(self, step: float, steps: Values) -> Shifts:
        """Return those at one step, on straight lines between the steps that they are of."""
        moves = [np.interp(step, steps, column) for column in self.moves.T]
        return Shifts(moves=np.array([moves]), present=self.present)

    def scaled(self, factors: Values) -> Shifts:
        """Return those of every step times a factor."""
        return replace(self, moves=self.moves * factors[:, None])

    def minus(self, other: Shifts) -> Shifts:
        """Return those of a difference: both lose the same group at a time."""
        count = max(len(self.present), len(other.present))
        own, others = (_padded(shifts, count) for shifts in (self, other))
        return Shifts(moves=own.moves - others.moves, present=own.present | others.present)

    @property
    def halves(self) -> Values:
        """Half-widths of the 95 % jackknife intervals, one for each step."""
        count = int(self.present.sum())
        if count < 2:
            return np.zeros(len(self.moves))
        error = np.sqrt(jackknife_variances(self.moves[:, self.present]))
        return np.asarray(student_quantile(count - 1) * error)


def _padded(shifts: Shifts, count: int) -> Shifts:
    more = count - len(shifts.present)
    moves = np.pad(shifts.moves, ((0, 0), (0, more)))
    return Shifts(moves=moves, present=np.pad(shifts.present, (0, more)))


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """A number over the step, where it is known."""

    steps: Values
    """Steps, ascending; 0 is the base."""
    values: Values
    """The number at each."""
    shifts: Shifts | None
    """What leaving out each prompt group adds to it; None where that was not kept."""
    halves: Float64[np.ndarray, "2 steps"]
    """Distances to the lower and to the upper end of its interval."""


def curve_of(trajectory: Trajectory) -> Curve:
    """Return a trajectory as numbers, from the base on where it is known there."""
    known = [
        (float(step), row)
        for step, row in zip(trajectory.steps, trajectory.rows, strict=True)
        if row["value"] is not None
    ]
    base, constant = trajectory.base, AT_BASE.get(trajectory.metric)
    if base is not None and base["value"] is not None:
        known, constant = [(0.0, base), *known], None
    rows = [row for _, row in known]
    curve = Curve(
        steps=np.array([step for step, _ in known]),
        values=np.array([number(row, "value") for row in rows]),
        shifts=shifts_of(rows),
        halves=np.array([_halves(row) for row in rows]).reshape(-1, 2).T,
    )
    return curve if constant is None else from_base(curve, constant)


def from_base(curve: Curve, value: float) -> Curve:
    """Return a curve that begins at step 0 with a number that is known exactly."""
    shifts = curve.shifts
    return Curve(
        steps=np.append(0.0, curve.steps),
        values=np.append(value, curve.values),
        shifts=shifts and replace(shifts, moves=np.pad(shifts.moves, ((1, 0), (0, 0)))),
        halves=np.pad(curve.halves, ((0, 0), (1, 0))),
    )


def shifts_of(rows: Sequence[Row]) -> Shifts | None:
    """Return what leaving out each prompt group adds to numbers; None where one was not kept.

    A number that no sample is behind, such as a drift of weights, is the same without any group.
    """
    kept = [() if _is_exact(row) else left_out_of(row) for row in rows]
    count = max((len(own) for own in kept if own), default=0)
    moves, present = np.zeros((len(rows), count)), np.zeros(count, dtype=bool)
    for place, (row, own) in enumerate(zip(rows, kept, strict=True)):
        if own is None:
            return None
        for group, left in enumerate(own):
            if left is not None:
                moves[place, group], present[group] = left - number(row, "value"), True
    return Shifts(moves=moves, present=present)


def _is_exact(row: Row) -> bool:
    """Whether no interval is missed: the number rests on no sample."""
    return row["low"] is None and str(row["status"]) == "ok"


def _halves(row: Row) -> tuple[float, float]:
    if row["low"] is None or row["high"] is None:
        return 0.0, 0.0
    value = number(row, "value")
    return value - number(row, "low"), number(row, "high") - value


def number(row: Row, name: str) -> float:
    """Return an entry that is known to be a number."""
    value = row[name]
    assert isinstance(value, int | float)
    return float(value)
