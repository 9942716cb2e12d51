"""At which token of an answer half of what there was at the first one is left."""

from __future__ import annotations

import re

import numpy as np
from jaxtyping import Float64

from analysis.estimates.answer_metric import AnswerMetric, AnswerProfile
from analysis.estimates.evaluation import Measured, UnmeasurableError
from analysis.estimates.intervals import MIN_GROUPS, Estimate, jackknife
from analysis.status import Status

_BEYOND = "by its interval it lies beyond"
HALF = 0.5
"""The share that is left."""
_STEPS = 256
"""Places between the first and the deepest token at which the interval is looked for."""


class HalfDepth(AnswerMetric):
    """The depth, in tokens, at which the share that is left falls to a half. At least 0.

    Qi et al. 2025, *Safety alignment should be made more than just a few tokens deep*, show the
    curves by eye; the number of them, its interval and its refusal are ours. Shares between two
    depths lie on straight lines in log2(1 + depth). Noise may lift a share above an earlier one:
    the number is read off the decreasing curve that is nearest (isotonic regression, Barlow et al.
    1972), weighted by rows. The interval holds the depths at which a half is not refuted: at which
    the share's jackknife interval, every group left out of both tokens, holds a half.
    """

    DEFINITION = (
        "v1: depth (tokens before, 0: the answer's first) at which {quantity} is half of what it is"
        " at the first token of the same answers, by isotonic regression over depths, linear in "
        "log2(1 + depth); interval: the depths at which the jackknife interval of that share, over "
        "prompt groups, holds a half"
    )
    AXIS_LABEL = "tokens into the answer until half is left"
    RANGE = (0.0, None)

    def measure(self, profile: AnswerProfile) -> tuple[Measured, str | None]:
        """Return the depth; refused where nothing falls, or not to a half."""
        kept = profile.where_groups_are(MIN_GROUPS)
        if len(kept.depths) < 2:
            reason = "two tokens of the answer are needed, with prompt groups enough for intervals"
            raise UnmeasurableError(reason, Status.TOO_FEW_GROUPS)
        _require_start(kept)
        places = np.log2(1.0 + np.array(kept.depths))
        crossings = _crossings(places, kept)
        low, high = _ends(places, kept)
        deepest = kept.depths[-1]
        if not np.isfinite(crossings[0]):
            left = jackknife(float(kept.shares[-1, 0]), kept.shares[-1, 1:], kept.counts)
            beyond = deepest if low is None and left.low is not None else low
            more = "" if beyond is None else f"; {_BEYOND} {beyond:.3g}"
            reason = f"> {deepest}: at that token {_in_words(left)} of the first is left{more}"
            raise UnmeasurableError(reason)
        depth = float(np.exp2(crossings[0]) - 1)
        known = np.isfinite(crossings[1:])
        left_out = np.exp2(crossings[1:]) - 1
        estimate = Estimate(value=depth)
        note = None
        if low is not None and high is not None:
            kept_without = tuple(left_out.tolist()) if known.all() else ()
            estimate = Estimate(
                value=depth, low=min(low, depth), high=max(high, depth), left_out=kept_without
            )
        elif low is not None:
            note = f"its interval begins at {min(low, depth):.3g} and ends beyond {deepest} tokens"
        measured = Measured(estimate=estimate, num_rows=kept.num_rows[0], groups=kept.groups)
        return measured, note


def bound_in(reason: str) -> float | None:
    """Return beyond which depth a half-depth lies that was refused; None where that is not known.

    Args:
        reason: why there is no value.
    """
    match = re.search(rf"{_BEYOND} ([0-9.e+]+)", reason)
    return float(match[1].rstrip(".")) if match else None


def _in_words(share: Estimate) -> str:
    """Return a share with its interval where it has one; finished artifacts have three digits."""
    ends = "" if share.ends is None else f" [{share.low:.3g}, {share.high:.3g}]"
    return f"{share.value:.3g}{ends}"


def _require_start(profile: AnswerProfile) -> None:
    """Refuse a profile with nothing at the first token that could fall."""
    start = jackknife(float(profile.starts[0, 0]), profile.starts[0, 1:], profile.counts)
    if not start.value > 0 or (start.low is not None and start.low <= 0):
        reason = (
            f"nothing to fall from: {profile.quantity} is {_in_words(start)} at the first token"
        )
        raise UnmeasurableError(reason, Status.BELOW_NOISE_FLOOR)


def _crossings(
    places: Float64[np.ndarray, " depths"], profile: AnswerProfile
) -> Float64[np.ndarray, " leave"]:
    """Return where the decreasing curve crosses a half, of all groups, then without each."""
    from scipy.optimize import isotonic_regression

    weights = np.array(profile.num_rows, dtype=np.float64)
    crossings = np.full(profile.shares.shape[1], np.nan)
    for number, shares in enumerate(profile.shares.T):
        if not np.isfinite(shares).all():
            continue
        falling = isotonic_regression(shares, weights=weights, increasing=False).x
        below = np.flatnonzero(falling <= HALF)
        if len(below) and below[0] > 0:
            crossings[number] = _between(places, falling, int(below[0]))
        elif len(below):
            crossings[number] = 0.0
    return crossings


def _between(
    places: Float64[np.ndarray, " depths"], shares: Float64[np.ndarray, " depths"], after: int
) -> float:
    """Return where the line to the first depth at or below a half crosses it."""
    high, low = shares[after - 1], shares[after]
    return float(places[after - 1] + (high - HALF) / (high - low) * np.diff(places)[after - 1])


def _ends(
    places: Float64[np.ndarray, " depths"], profile: AnswerProfile
) -> tuple[float | None, float | None]:
    """Return the depths between which a half is not refuted; None for an end that is open.

    From the first depth at which the share may be a half, to the first at which it is surely less.
    """
    grid = np.linspace(0.0, places[-1], _STEPS)
    low: float | None = None
    curves = np.stack([np.interp(grid, places, shares) for shares in profile.shares.T], axis=1)
    for number, (place, share) in enumerate(zip(grid, curves, strict=True)):
        estimate = jackknife(float(share[0]), share[1:], profile.counts)
        if estimate.low is None or estimate.high is None:
            return None, None
        if low is None and estimate.low <= HALF:
            low = float(np.exp2(grid[max(number - 1, 0)]) - 1)  # it may begin between two places
        if estimate.high < HALF:
            return low, float(np.exp2(place) - 1)
    return low, None
