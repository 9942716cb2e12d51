"""What a number does between two snapshots, and how much of that nobody measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis.dose.trajectories import Values

if TYPE_CHECKING:
    from scipy.interpolate import CubicHermiteSpline


def rising(steps: Values, values: Values) -> CubicHermiteSpline:
    """Return the monotone cubic course through rising numbers (Fritsch and Carlson 1980)."""
    from scipy.interpolate import PchipInterpolator

    return PchipInterpolator(steps, values, extrapolate=False)


def turning(steps: Values, values: Values) -> CubicHermiteSpline:
    """Return the cubic course through any numbers, its slopes those of parabolas through three."""
    from scipy.interpolate import CubicHermiteSpline

    slopes = np.gradient(values, steps, edge_order=2 if len(steps) > 2 else 1)
    return CubicHermiteSpline(steps, values, slopes, extrapolate=False)


def gap_of(course: CubicHermiteSpline, steps: Values, values: Values, step: float) -> float:
    """Return how far other courses through the same numbers lie from one, at a step.

    They are the straight line between the two numbers around the step, and the parabolas through
    these and a third one on either side: their difference is the next term of Newton's
    interpolation, by which its error is judged.
    """
    from scipy.interpolate import BarycentricInterpolator

    behind = int(np.clip(np.searchsorted(steps, step), 1, len(steps) - 1))
    windows = [(behind - 1, behind + 1), (behind - 2, behind + 1), (behind - 1, behind + 2)]
    inside = [slice(a, b) for a, b in windows if a >= 0 and b <= len(steps)]
    others = [BarycentricInterpolator(steps[own], values[own])(step) for own in inside]
    return max(abs(float(other) - float(course(step))) for other in others)
