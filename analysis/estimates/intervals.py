"""95 % intervals over prompt groups: delete-group jackknife and group bootstrap, never by token."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from math import hypot

import numpy as np
from jaxtyping import Bool, Float64

MIN_GROUPS = 5
"""Fewer groups give no interval: at 4 the standard error rests on 3 degrees of freedom, is itself
off by 40 %, and t(3) = 3.2 makes the interval say little; crossed estimators need 3 even to exist.
"""
NUM_DRAWS = 1000
"""Bootstrap draws of groups."""
TAIL = 0.025
"""Share beyond either end of a 95 % interval."""
NORMAL = 1.959964
"""The point that a standard normal number exceeds with that chance."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number and its interval."""

    value: float
    """The number itself."""
    low: float | None = None
    """Lower end; None where there are too few groups."""
    high: float | None = None
    """Upper end; None where there are too few groups."""
    left_out: tuple[float, ...] = ()
    """The number without each group that entered, in their order; empty where there is no interval.
    Fits over sizes that share prompts are made again with them."""

    @property
    def ends(self) -> tuple[float, float] | None:
        """Both ends of the interval; None where there is none."""
        return None if self.low is None or self.high is None else (self.low, self.high)

    def within(self, lowest: float, highest: float) -> Estimate:
        """Clip the number and its interval to the range that the quantity cannot leave."""
        return self.map(lambda number: float(min(max(number, lowest), highest)))

    def joined(self, other: Estimate) -> Estimate:
        """Let the interval, where there is one, hold that of another estimate of the number."""
        if self.ends is None or other.ends is None:
            return self
        (low, high), (other_low, other_high) = self.ends, other.ends
        return replace(self, low=min(low, other_low), high=max(high, other_high))

    def widened(self, below: float, above: float) -> Estimate:
        """Add independent errors to both halves of the interval, where there is one, in squares."""
        if self.low is None or self.high is None:
            return self
        low = self.value - hypot(self.value - self.low, below)
        return replace(self, low=low, high=self.value + hypot(self.high - self.value, above))

    def extended(self, below: float, above: float) -> Estimate:
        """Add to both halves of the interval, where there is one, whole: errors of one sign."""
        if self.low is None or self.high is None:
            return self
        return replace(self, low=self.low - below, high=self.high + above)

    def minus(self, other: Estimate) -> Estimate | None:
        """Return the difference from an independent number; None where either has no interval.

        Errors add in squares (Zou and Donner 2008, *Construction of confidence limits about effect
        measures*). Of numbers on the same prompts, which are positively correlated, the interval is
        wider than it need be.
        """
        if self.ends is None or other.ends is None:
            return None
        (low, high), (other_low, other_high) = self.ends, other.ends
        value = self.value - other.value
        return Estimate(
            value=value,
            low=value - hypot(self.value - low, other_high - other.value),
            high=value + hypot(high - self.value, other.value - other_low),
        )

    def map(self, function: Callable[[float], float]) -> Estimate:
        """Return the estimate on another scale; `function` must not decrease."""
        return Estimate(
            value=function(self.value),
            low=None if self.low is None else function(self.low),
            high=None if self.high is None else function(self.high),
            left_out=tuple(map(function, self.left_out)),
        )


def jackknife(
    whole: float,
    left_out: Float64[np.ndarray, " groups"],
    counts: Float64[np.ndarray, " groups"] | None = None,
    correct: bool = False,
) -> Estimate:
    """Estimate a smooth statistic by the delete-group jackknife, with t(G - 1).

    Busing, Meijer and van der Leeden 1999, *Delete-m jackknife for unequal m*, eqs. 5 and 8.

    Args:
        whole: the statistic on all groups.
        left_out: the statistic without each group.
        counts: rows of each group, if the statistic weights groups by their rows; without it every
            group counts the same.
        correct: whether to report the bias-corrected value instead of `whole`; the correction then
            moves the statistic without each group as well.

    Returns:
        The statistic; without an interval under MIN_GROUPS groups, or where some `left_out` is NaN.
    """
    num_groups = len(left_out)
    if num_groups < 2 or not np.isfinite(left_out).all():
        return Estimate(value=whole)
    weights = np.ones(num_groups) if counts is None else counts
    inverse_share = weights.sum() / weights
    corrected = float(num_groups * whole - ((1 - 1 / inverse_share) * left_out).sum())
    value = corrected if correct else whole
    if num_groups < MIN_GROUPS:
        return Estimate(value=value)
    pseudo = inverse_share * whole - (inverse_share - 1) * left_out
    variance = float((np.square(pseudo - corrected) / (inverse_share - 1)).mean())
    half = student_quantile(num_groups - 1) * variance**0.5
    kept = tuple((left_out + (value - whole)).tolist())
    return Estimate(value=value, low=value - half, high=value + half, left_out=kept)


def jackknife_variances(
    shifts: Float64[np.ndarray, "numbers groups"],
    entered: Bool[np.ndarray, "numbers groups"] | None = None,
) -> Float64[np.ndarray, " numbers"]:
    """Return the delete-group jackknife variance of many numbers at once.

    Args:
        shifts: what leaving out each group adds to each number.
        entered: whether it has rows of the group; None: of all.
    """
    is_in = np.ones(shifts.shape, dtype=bool) if entered is None else entered
    count = np.maximum(is_in.sum(axis=1), 1)
    mean = np.where(is_in, shifts, 0.0).sum(axis=1) / count
    about = np.where(is_in, shifts - mean[:, None], 0.0)
    return np.asarray((count - 1) / count * np.square(about).sum(axis=1))


def ratios_left(
    above: Float64[np.ndarray, " groups"], below: Float64[np.ndarray, " groups"]
) -> Float64[np.ndarray, " groups"]:
    """Divide two sums over groups without each group; NaN where nothing is left to divide by.

    Args:
        above: each group's part of the numerator.
        below: each group's part of the denominator, at least 0.

    Returns:
        The ratio of both sums without each group.
    """
    rest, nothing = below.sum() - below, np.full(len(below), np.nan)
    return np.asarray(np.divide(above.sum() - above, rest, out=nothing, where=rest > 0))


@cache
def student_quantile(degrees_of_freedom: int) -> float:
    """Return the upper 2.5 % point of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees_of_freedom, 1 - TAIL))


@cache
def group_draws(num_groups: int) -> Float64[np.ndarray, "draws groups"]:
    """Draw groups with replacement, the same draws in every call.

    Returns:
        How often each group is in each of NUM_DRAWS draws.
    """
    shares = np.full(num_groups, 1 / num_groups)
    draws = np.random.default_rng(0).multinomial(num_groups, shares, size=NUM_DRAWS)
    return np.asarray(draws, dtype=np.float64)


def left_out_weights(num_groups: int) -> Float64[np.ndarray, "leave groups"]:
    """Return how often each group counts where each is left out in turn: 0 itself, 1 the others."""
    return 1.0 - np.eye(num_groups)


def percentile_interval(
    value: float,
    drawn: Float64[np.ndarray, " draws"],
    left_out: Float64[np.ndarray, " groups"],
) -> Estimate:
    """Make an interval from a statistic on every bootstrap draw of groups.

    Percentiles are taken further out than 2.5 %, by t(G - 1) and by the variance that resampling G
    groups lacks (Hesterberg 2015, *What teachers should know about the bootstrap*, section 5).

    Args:
        value: the statistic on all groups.
        drawn: the statistic on each draw.
        left_out: the statistic without each group that was drawn from; under MIN_GROUPS of them
            there is no interval.

    Returns:
        The estimate, its interval always around `value`.
    """
    from scipy.special import ndtr

    num_groups = len(left_out)
    if num_groups < MIN_GROUPS:
        return Estimate(value=value)
    kept = tuple(left_out.tolist()) if np.isfinite(left_out).all() else ()
    spread = (num_groups / (num_groups - 1)) ** 0.5
    tail = float(ndtr(-spread * student_quantile(num_groups - 1)))
    # Always values that were drawn, never between two of them.
    low = np.quantile(drawn, tail, method="lower")
    high = np.quantile(drawn, 1 - tail, method="higher")
    ends = min(float(low), value), max(float(high), value)
    return Estimate(value=value, low=ends[0], high=ends[1], left_out=kept)


def share_interval(
    share: float,
    below: Float64[np.ndarray, " groups"],
    counts: Float64[np.ndarray, " groups"],
    num_independent: int | None = None,
) -> tuple[float, float]:
    """Return between which shares of the rows a quantile's own may truly lie, by 95 %.

    Korn and Graubard 1998, *Confidence intervals for proportions with small expected number of
    positive counts estimated from survey data*: the exact binomial interval of as many independent
    rows as would leave the share as uncertain as the groups say, at most as many as there are.

    Args:
        share: of the rows below the quantile.
        below: rows below it in each of at least two groups.
        counts: rows of each group.
        num_independent: rows that count as independent where the groups say nothing, because the
            share is the same in all of them; None: all.

    Returns:
        Both ends, 0 to 1.
    """
    from scipy.special import betaincinv

    num_rows, num_groups = float(counts.sum()), len(counts)
    apart = below - share * counts
    variance = num_groups / (num_groups - 1) * float(np.square(apart).sum()) / num_rows**2
    alike = share * (1 - share)
    silent = num_rows if num_independent is None else float(num_independent)
    effective = min(alike / variance, num_rows) if variance > 0 else silent
    effective = max(effective * (NORMAL / student_quantile(num_groups - 1)) ** 2, 1.0)
    reached = share * effective
    left = effective - reached
    low = float(betaincinv(reached, left + 1, TAIL)) if reached > 0 else 0.0
    high = float(betaincinv(reached + 1, left, 1 - TAIL)) if left > 0 else 1.0
    return low, high
