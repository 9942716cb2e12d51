"""How well each row follows the mean of the others: quantiles of its cosine to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from jaxtyping import Float64, Int64

from analysis.estimates.evaluation import Measured, UnmeasurableError, require_groups
from analysis.estimates.intervals import (
    MIN_GROUPS,
    Estimate,
    group_draws,
    left_out_weights,
    percentile_interval,
    share_interval,
    student_quantile,
)
from analysis.estimates.mean_direction import MeanDirection
from analysis.estimates.quantiles import SHARES, ShareCurve
from analysis.metric import Computation, Metric
from analysis.rows.summary import Sample
from analysis.status import Status

NUM_DRAWS = 400
"""Bootstrap draws of prompt groups; they give a standard error."""


class CosineToMean(Metric):
    """Median, 5 % and 95 % quantiles of x_i.m_i / |x_i||m|, m_i the mean over other groups.

    Of the mean that infinitely many rows would have: see `mean_direction.py`. -1 to 1; rotating or
    scaling all rows changes nothing.
    """

    DEFINITION = (
        "v3: quantiles over the kept rows of the cosine between a row and the mean of the kept "
        "rows of other prompt groups, the noise of that mean taken from its length and from the "
        "spread of the cosines by pairs of groups; bootstrap over prompt groups, by standard error "
        "and by percentiles, at least the interval of the share of rows below"
    )
    REPORTS = ("cosine_to_mean", "cosine_to_mean_p05", "cosine_to_mean_p95")
    AXIS_LABEL = "cosine to the mean of other prompts, median (-1 to 1)"
    RANGES = dict.fromkeys(REPORTS, (-1.0, 1.0))
    HEADLINES = {"cosine_to_mean": 160}

    def prepare(self, sample: Sample, against: Sample | None, centred: bool) -> list[Computation]:
        """Return what computes each value."""
        follow = cache(partial(_follow, sample))
        return [partial(_measure_quantile, follow, share) for share in SHARES]


@dataclass(frozen=True, kw_only=True, eq=False)
class Followed:
    """How well every row follows the mean of other groups, and how sure that is."""

    cosines: Float64[np.ndarray, " rows"]
    """With the mean of all other groups."""
    drawn: Float64[np.ndarray, "rows weights"]
    """With those of every bootstrap draw, then without each group."""
    weights: Float64[np.ndarray, "rows weights"]
    """How often each row is in each of these."""
    owners: Int64[np.ndarray, " rows"]
    """The place of each row's group."""
    groups: list[int]
    """Numbers of the groups."""
    is_mean_known: bool
    """True where the mean is told from 0; a mean that is not may point anywhere."""


def _follow(sample: Sample) -> Followed:
    rows, groups = _moved_rows(sample)
    numbers, owners = np.unique(groups, return_inverse=True)
    require_groups(len(numbers), 2)
    member = np.equal.outer(np.arange(len(numbers)), owners).astype(np.float64)
    sums = member @ rows
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    direction = MeanDirection(
        inner=units @ sums.T, gram=sums @ sums.T, counts=member.sum(axis=1), own=owners
    )
    weights = np.concatenate(
        [group_draws(len(numbers))[:NUM_DRAWS], left_out_weights(len(numbers))]
    )
    weights = weights[: len(weights) * (len(numbers) >= MIN_GROUPS)]
    cosines = direction.cosines(np.concatenate([np.ones((1, len(numbers))), weights]))
    cosines = np.clip(cosines, -1.0, 1.0)
    return Followed(
        cosines=cosines[:, 0],
        drawn=cosines[:, 1:],
        weights=weights.T[owners],
        owners=owners,
        groups=numbers.tolist(),
        is_mean_known=direction.is_known,
    )


def _measure_quantile(follow: Callable[[], Followed], share: float) -> Measured:
    """Measure a quantile; its interval holds those of the bootstrap and that of few rows."""
    own = follow()
    value = float(np.quantile(own.cosines, share))
    estimate = Estimate(value=value)
    if own.drawn.size:
        found = _weighted_quantiles(own.drawn, own.weights, share)
        drawn, left_out = found[: -len(own.groups)], found[-len(own.groups) :]
        error = float(drawn.std()) * (len(own.groups) / (len(own.groups) - 1)) ** 0.5
        half = student_quantile(len(own.groups) - 1) * error
        below = np.bincount(own.owners, own.cosines < value, len(own.groups))
        counts = np.bincount(own.owners, minlength=len(own.groups)).astype(np.float64)
        curve = ShareCurve(values=np.sort(own.cosines), below=np.arange(len(own.cosines)) + 0.5)
        ends = [curve.value(end) for end in share_interval(share, below, counts)]
        ends += [] if own.is_mean_known else [0.0]
        # Rows that mostly lie along one axis make the draws skewed: out to their own ends, too.
        skewed = percentile_interval(value, drawn, left_out)
        ends += [end for end in (skewed.low, skewed.high) if end is not None]
        estimate = Estimate(
            value=value,
            low=min(value - half, *ends),
            high=max(value + half, *ends),
            left_out=tuple(left_out.tolist()),
        )
    return Measured(
        estimate=estimate.within(-1.0, 1.0), num_rows=len(own.cosines), groups=own.groups
    )


def _weighted_quantiles(
    values: Float64[np.ndarray, "rows k"], weights: Float64[np.ndarray, "rows k"], share: float
) -> Float64[np.ndarray, " k"]:
    """Return the quantile of each column of weighted values."""
    order = np.argsort(values, axis=0)
    reached = np.cumsum(np.take_along_axis(weights, order, axis=0), axis=0)
    at = (reached < share * reached[-1]).sum(axis=0)
    ordered = np.take_along_axis(values, order, axis=0)
    return np.asarray(np.take_along_axis(ordered, at[None], axis=0)[0])


def _moved_rows(
    sample: Sample,
) -> tuple[Float64[np.ndarray, "rows d"], Int64[np.ndarray, " rows"]]:
    """Return the kept rows that are not zero, and the prompt group of each."""
    if sample.reservoir is None:
        raise UnmeasurableError("no rows are kept at this position policy", Status.NOT_RUN)
    rows = sample.reservoir.rows.astype(np.float64)
    if not np.isfinite(rows).all():
        raise UnmeasurableError("kept rows hold NaN or infinity")
    moved = rows.any(axis=1)
    if not moved.any():
        raise UnmeasurableError("every row is zero", Status.BELOW_NOISE_FLOOR)
    return rows[moved], sample.reservoir.groups[moved]


def cosines_to_others(
    sample: Sample,
) -> tuple[Float64[np.ndarray, " rows"], Int64[np.ndarray, " rows"]]:
    """Return the cosine of each kept row to the mean of other prompts' rows.

    Args:
        sample: with a reservoir of rows.

    Returns:
        Cosines from -1 to 1, and the prompt group of each; rows without a direction are left out.

    Raises:
        UnmeasurableError: rows are missing, not finite, all zero, or of one prompt.
    """
    if sample.reservoir is None:
        raise UnmeasurableError("no rows are kept at this position policy", Status.NOT_RUN)
    rows = sample.reservoir.rows.astype(np.float64)
    if not np.isfinite(rows).all():
        raise UnmeasurableError("kept rows hold NaN or infinity")
    prompts, owners = np.unique(sample.reservoir.prompts, return_inverse=True)
    if len(prompts) < 2:
        raise UnmeasurableError("fewer than two prompts have rows", Status.TOO_FEW_GROUPS)
    order = np.argsort(owners, kind="stable")
    starts = np.searchsorted(owners[order], np.arange(len(prompts)))
    sums = np.add.reduceat(rows[order], starts, axis=0)
    others = (sums.sum(axis=0) - sums)[owners]
    scale = np.linalg.norm(rows, axis=1) * np.linalg.norm(others, axis=1)
    keep = scale > 0
    if not keep.any():
        raise UnmeasurableError("every row is zero", Status.BELOW_NOISE_FLOOR)
    cosines = np.einsum("ij,ij->i", rows[keep], others[keep]) / scale[keep]
    return np.clip(cosines, -1.0, 1.0), sample.reservoir.groups[keep]
