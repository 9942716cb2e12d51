"""At which step a training stood at a dose: isotonic regression of the dose on the step, inverted.

The fit pools steps at which the measured dose falls (pool adjacent violators), and each pool stands
at the mean of its steps: *centred isotonic regression* (Oron and Flournoy 2017, *Centered isotonic
regression: point and interval estimation for dose-response studies*), which rises strictly, so that
a dose has one step. Between two pools it is monotone cubic (Fritsch and Carlson 1980). The base is
at step 0, dose 0, by definition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from analysis.dose.courses import gap_of, rising
from analysis.dose.trajectories import Curve, Shifts, Values

NEGLIGIBLE = 1e-9
"""Share of the largest dose by which rounding alone may move a dose."""
LEAST_ERROR = 0.1
"""Least error of a dose, as a share of their mean: from 20 groups, none is that much surer."""
KNOWN = 1e9
"""Weight of the base over that of the surest dose."""


class NotAtDoseError(Exception):
    """The training has no one step at this dose, or the number is not known there; says why."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Instant:
    """Where a training stood at a dose."""

    step: float
    """The step."""
    gap: float
    """How far other courses of the dose between the same steps lie from the fitted one there."""
    before: float
    """Step of the pool before it."""
    after: float
    """Step of the pool behind it."""
    rise: float
    """By how much the dose rose from the one to the other."""
    shifts: Shifts | None
    """What leaving out each prompt group adds to the dose at this step; None: not known."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Clock:
    """The dose of one training over its steps."""

    measured: Curve
    """The dose as it was measured, the base first."""
    steps: Values
    """Step of each pool, ascending."""
    doses: Values
    """Fitted dose of each, ascending, the first at least 0."""
    shifts: Shifts | None
    """What leaving out each prompt group adds to each."""

    @classmethod
    def of(cls, measured: Curve) -> Clock:
        """Fit the dose, which is 0 at the first step of all."""
        from scipy.optimize import isotonic_regression

        weights = _weights(measured)
        fit = isotonic_regression(measured.values, weights=weights)
        ends = zip(fit.blocks, fit.blocks[1:], strict=False)
        pools = [slice(int(start), int(end)) for start, end in ends]
        shares = weights.copy()
        shares[0] = weights[1:].max(initial=1.0)  # the base is known; its step weighs as another's
        shifts = measured.shifts
        return cls(
            measured=measured,
            steps=np.array([np.average(measured.steps[p], weights=shares[p]) for p in pools]),
            doses=np.array([0.0 if p.start == 0 else fit.x[p.start] for p in pools]),
            shifts=shifts and replace(shifts, moves=_pooled(shifts, pools, weights)),
        )

    def at(self, dose: float, what: str) -> Instant:
        """Return where the training stood at a dose.

        Args:
            dose: the dose, above 0.
            what: what it is, in words.

        Raises:
            NotAtDoseError: the dose was not reached, or more than once.
        """
        most = float(self.doses[-1])
        tolerance = NEGLIGIBLE * most
        if dose > most + tolerance:
            last = f"{self.measured.values[-1]:.3g} at step {self.measured.steps[-1]:g}, the last"
            raise NotAtDoseError(f"{what} {dose:g} was not reached: {last}")
        self._check_monotone(dose, what)
        nearest = float(self.doses[np.abs(self.doses - dose).argmin()])
        dose = nearest if abs(nearest - dose) <= tolerance else min(dose, most)
        behind = int(np.clip(np.searchsorted(self.doses, dose), 1, len(self.doses) - 1))
        before, after = self.steps[behind - 1 : behind + 1]
        course = rising(self.steps, self.doses)
        # At a pool itself the step is the pool's, to the bit: roots are rounded.
        roots = () if dose in self.doses else course.solve(dose, extrapolate=False)
        inside = [float(root) for root in np.atleast_1d(roots) if before <= root <= after]
        step = inside[0] if inside else float(np.interp(dose, self.doses, self.steps))
        return Instant(
            step=step,
            gap=gap_of(course, self.steps, self.doses, step),
            before=float(before),
            after=float(after),
            rise=float(self.doses[behind] - self.doses[behind - 1]),
            shifts=self.shifts and self.shifts.at(step, self.steps),
        )

    def _check_monotone(self, dose: float, what: str) -> None:
        """Refuse a dose from which the training came back by more than chance allows.

        That is: at some step it was above the dose and at a later one below, and the 95 % interval
        of the fall between the two, without each prompt group in turn, lies above 0. Where that
        interval is not known, any such fall is refused.
        """
        steps, doses, shifts = self.measured.steps, self.measured.values, self.measured.shifts
        for first, second in _falls(doses, dose):
            error = 0.0
            if shifts is not None:
                moves = shifts.moves[first] - shifts.moves[second]
                (error,) = replace(shifts, moves=moves[None]).halves
            if doses[first] - doses[second] > error:
                raise NotAtDoseError(
                    f"{what} is not monotone around {dose:g}: {doses[first]:.3g} at step "
                    f"{steps[first]:g}, {doses[second]:.3g} at step {steps[second]:g}, a fall "
                    "outside of its interval"
                )


def _falls(doses: Values, dose: float) -> Sequence[tuple[int, int]]:
    """Return pairs of places of which the earlier is above the dose and the later below it."""
    above, below = np.flatnonzero(doses > dose), np.flatnonzero(doses < dose)
    return [(int(first), int(second)) for first in above for second in below if first < second]


def _weights(measured: Curve) -> Values:
    """Return one over the variance of each dose; the base's is known, as good as infinite."""
    later = np.ones(len(measured.steps) - 1)
    if measured.shifts is not None and measured.shifts.halves[1:].any():
        later = measured.shifts.halves[1:]
    weights = 1 / np.square(np.maximum(later, LEAST_ERROR * later.mean()))
    return np.append(KNOWN * weights.max(initial=1.0), weights)


def _pooled(
    shifts: Shifts, pools: Sequence[slice], weights: Values
) -> Float64[np.ndarray, "pools groups"]:
    """Return the mean shifts of each pool; the dose at the base is known."""
    means = [np.average(shifts.moves[pool], axis=0, weights=weights[pool]) for pool in pools]
    means[0] = np.zeros(len(shifts.present))
    return np.stack(means)
