"""An effect: a number made of several measurements, with its interval over their shared prompts.

The rule is that of `sides.py`, for any smooth function in place of a difference: the function
without each prompt group gives the error that prompts make together, seeds add their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product, zip_longest

import numpy as np

from analysis.contrasts.differences import Differences
from analysis.contrasts.sides import NOT_SMOOTH, Sides
from analysis.estimates.intervals import MIN_GROUPS, jackknife_variances
from analysis.measurement import Measurement


def paired_effect(
    numbers: Sequence[Measurement], of: Callable[..., float], metric: str
) -> Measurement | None:
    """Return a function of measurements as a measurement over the groups that they share.

    Args:
        numbers: measurements with intervals; the same group numbers mean the same prompts.
        of: the function, smooth near them.
        metric: what to call the effect.

    Returns:
        The effect, its 95 % interval, and its value without each group that any of them has; None
        where a number or interval is missing, groups are not shared or were not kept, or the
        function has no value without one of them.
    """
    if any(number.below_floor for number in numbers):
        return None
    sides = Sides.of(numbers)
    if not sides.has_interval.all():
        return None
    entered = np.isfinite(sides.kept)
    widening = float(sides.widening.max())
    if entered.all(axis=0).sum() < MIN_GROUPS or not widening <= NOT_SMOOTH:
        return None
    values = sides.value.tolist()
    value = of(*values)
    kept = tuple(
        of(*(whole if one is None else one for one, whole in zip(group, values, strict=True)))
        if any(one is not None for one in group)
        else None
        for group in zip_longest(*(number.left_out or () for number in numbers))
    )
    if not np.isfinite([value, *(one for one in kept if one is not None)]).all():
        return None
    known = np.array([[np.nan if one is None else one for one in kept]])
    shifts = np.nan_to_num(known - value)
    errors = [float(np.sqrt(jackknife_variances(shifts, np.isfinite(known)))[0]) * widening]
    degrees = [float(np.isfinite(known).sum() - 1)]
    for at, number in enumerate(numbers):
        if (number.num_seeds or 1) > 1:
            half = sides.scatter[at]
            ends = [of(*values[:at], values[at] + by, *values[at + 1 :]) for by in (-half, half)]
            errors.append(abs(ends[1] - ends[0]) / 2)
            degrees.append(float(sides.degrees[at]))
    uncounted = [
        of(*(whole + by for whole, by in zip(values, corner, strict=True)))
        for corner in product(*((0.0, float(by)) if by else (0.0,) for by in sides.uncounted))
    ]
    both = Differences(
        value=np.array([value]),
        below=np.array([errors]),
        above=np.array([errors]),
        degrees=np.array([degrees]),
        lower=np.array([value - min(uncounted)]),
        higher=np.array([max(uncounted) - value]),
    )
    return replace(
        numbers[0],
        metric=metric,
        value=value,
        low=float(both.low()[0]),
        high=float(both.high()[0]),
        uncounted=None,
        coverage=None,
        num_groups=int(np.isfinite(known).sum()),
        num_seeds=None,
        left_out=kept,
    )
