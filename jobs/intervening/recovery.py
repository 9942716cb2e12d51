"""How far an intervention takes a model towards another: shares, and the band of random controls.

Both are paired over prompt groups: the jackknife leaves the same group out of all models at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from analysis.estimates.intervals import Estimate, jackknife, student_quantile
from jobs.behaviour.outcome import Outcome

_Means = tuple[float, Float64[np.ndarray, " groups"]]
"""Mean over all groups, and without each."""


def recovered(plain: Outcome, patched: Outcome, other: Outcome) -> Estimate | str:
    """(patched - plain) / (other - plain), of the means; why there is none where there is none.

    Losses are compared in nats. A share is not kept between 0 and 1: a patch may go too far.
    """
    known = np.unique(plain.groups)
    for outcome in (patched, other):
        if not np.array_equal(known, np.unique(outcome.groups)):
            return "the models were not measured on the same prompt groups"
    start, end, reached = (_means(outcome, known) for outcome in (plain, other, patched))
    counts = _members(plain, known).sum(axis=1).astype(np.float64)
    way, went = end[0] - start[0], reached[0] - start[0]
    ways, wents = end[1] - start[1], reached[1] - start[1]
    whole = jackknife(way, ways, counts)
    reason = _no_way(whole)
    if reason is not None:
        return reason
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = wents / ways  # a share that is not finite leaves the estimate without interval
    return jackknife(went / way, shares, counts)


def band(numbers: Sequence[float]) -> tuple[float, float] | None:
    """Where one more random control would lie 19 times in 20: Student's prediction interval."""
    if len(numbers) < 2:
        return None
    drawn = np.array(numbers)
    spread = float(drawn.std(ddof=1)) * (1 + 1 / len(drawn)) ** 0.5
    half = student_quantile(len(drawn) - 1) * spread
    return float(drawn.mean()) - half, float(drawn.mean()) + half


def _no_way(difference: Estimate) -> str | None:
    """Why nothing can be a share of it; None where something can."""
    low, high = difference.low, difference.high
    if difference.value == 0:
        return "the two models do not differ"
    if low is not None and high is not None and low <= 0 <= high:
        told = f"{difference.value:.3g}, 95 % interval {low:.3g} to {high:.3g}"
        return f"the two models do not differ surely: by {told}"
    return None


def _members(outcome: Outcome, known: np.ndarray) -> np.ndarray:
    return np.asarray(outcome.groups == known[:, None])


def _means(outcome: Outcome, known: np.ndarray) -> _Means:
    members = _members(outcome, known)
    sums, counts = members @ outcome.values, members.sum(axis=1).astype(np.float64)
    whole = float(sums.sum() / counts.sum())
    if len(known) == 1:
        return whole, np.zeros(0)
    return whole, np.asarray((sums.sum() - sums) / (counts.sum() - counts))
