"""The difference of two measurements over the prompt groups that both have."""

from __future__ import annotations

from itertools import zip_longest

from analysis.contrasts.sides import Sides, differences
from analysis.estimates.intervals import Estimate
from analysis.measurement import Measurement


def paired_difference(first: Measurement, second: Measurement) -> Estimate | None:
    """Return first less second with its paired interval, by the rule in `sides.py`.

    Args:
        first: a measurement with an interval, of one seed or a mean over several.
        second: one of the same metric; the same group numbers mean the same prompts.

    Returns:
        The difference, its 95 % interval, and the difference without each group that either has;
        None where a side has no number or interval, or groups are not shared or were not kept.
    """
    if first.below_floor or second.below_floor:
        return None
    sides = Sides.of([first]), Sides.of([second])
    if not (sides[0].has_interval.all() and sides[1].has_interval.all()):
        return None
    both, is_paired = differences(*sides)
    if not is_paired[0]:
        return None
    assert first.value is not None and second.value is not None
    value = float(both.value[0])
    left_out = [
        (first.value if own is None else own) - (second.value if other is None else other)
        for own, other in zip_longest(first.left_out or (), second.left_out or ())
        if own is not None or other is not None
    ]
    return Estimate(
        value=value,
        low=float(both.low()[0]),
        high=float(both.high()[0]),
        left_out=tuple(left_out),
    )
