"""The dose of every training of a study: what it is read from, and the step at which it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from analysis.dose.clock import Clock
from analysis.dose.doses import Dose
from analysis.dose.trajectories import Curve, Trajectory, curve_of, from_base


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
