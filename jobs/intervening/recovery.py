"""Share of the way to another model that an intervention recovers; the band of random controls.

Shares are paired over prompt groups: the jackknife leaves one group out of all models at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from analysis.estimates.group_means import sums_and_counts
from analysis.estimates.intervals import Estimate, jackknife, student_quantile
from jobs.behaviour.behaviour_values import BehaviourValues

_Means = tuple[float, Float64[np.ndarray, " groups"]]
"""Mean over all groups, and without each."""


def recovered_share(
    plain: BehaviourValues, patched: BehaviourValues, other: BehaviourValues
) -> Estimate | str:
    """Compute (patched - plain) / (other - plain) of the means, or say why there is no share.

    Losses are compared in nats. A share is not kept between 0 and 1: a patch may go too far.
    """
    groups = np.unique(plain.groups)
    for side in (patched, other):
        if not np.array_equal(groups, np.unique(side.groups)):
            return "the models were not measured on the same prompt groups"
    start, end, reached = (_means(side, groups) for side in (plain, other, patched))
    _, counts = sums_and_counts(plain.values, plain.groups, groups)
    way, went = end[0] - start[0], reached[0] - start[0]
    ways, wents = end[1] - start[1], reached[1] - start[1]
    whole = jackknife(way, ways, counts)
    reason = _no_way(whole)
    if reason is not None:
        return reason
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = wents / ways  # a share that is not finite leaves the estimate without interval
    return jackknife(went / way, shares, counts)


def null_band(numbers: Sequence[float]) -> tuple[float, float] | None:
    """Return the 95 % prediction interval (Student) of one more random control; None below two."""
    if len(numbers) < 2:
        return None
    drawn = np.array(numbers)
    spread = float(drawn.std(ddof=1)) * (1 + 1 / len(drawn)) ** 0.5
    half = student_quantile(len(drawn) - 1) * spread
    return float(drawn.mean()) - half, float(drawn.mean()) + half


def _no_way(difference: Estimate) -> str | None:
    """Say why the difference has no shares; None where it has."""
    low, high = difference.low, difference.high
    if difference.value == 0:
        return "the two models do not differ"
    if low is not None and high is not None and low <= 0 <= high:
        size = f"{difference.value:.3g}, 95 % interval {low:.3g} to {high:.3g}"
        return f"the two models do not differ surely: by {size}"
    return None


def _means(side: BehaviourValues, groups: np.ndarray) -> _Means:
    sums, counts = sums_and_counts(side.values, side.groups, groups)
    whole = float(sums.sum() / counts.sum())
    if len(groups) == 1:
        return whole, np.zeros(0)
    return whole, np.asarray((sums.sum() - sums) / (counts.sum() - counts))
