"""How well each row follows the mean of the others: quantiles of its cosine to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from jaxtyping import Float64, Int64

from analysis.estimates import intervals
from analysis.estimates.evaluation import Measured, UnmeasurableError
from analysis.estimates.quantiles import SHARES
from analysis.metric import Computation, Metric
from analysis.rows.summary import Sample
from analysis.status import Status


class CosineToMean(Metric):
    """Median, 5 % and 95 % quantiles of x_i.m_i / |x_i||m_i|, m_i the mean over other prompts.

    -1 to 1; rotating or scaling all rows changes nothing.
    """

    DEFINITION = (
        "v1: quantiles over the kept rows of the cosine between a row and the mean of the kept "
        "rows of other prompts; bootstrap over prompt groups"
    )
    REPORTS = ("cosine_to_mean", "cosine_to_mean_p05", "cosine_to_mean_p95")
    AXIS_LABEL = "cosine to the mean of other prompts, median (-1 to 1)"
    HEADLINES = {"cosine_to_mean": 160}

    def prepare(self, sample: Sample, against: Sample | None, centred: bool) -> list[Computation]:
        """Return what computes each value."""
        ranked = cache(partial(_rank_cosines, sample))
        return [partial(_measure_quantile, ranked, share) for share in SHARES]


@dataclass(frozen=True, kw_only=True, eq=False)
class Ranked:
    """Cosines in order, and how much of every draw, and without each group, lies up to each."""

    cosines: Float64[np.ndarray, " rows"]
    """Ascending."""
    reached: Float64[np.ndarray, "weights rows"]
    """Rows up to and with this one: of every bootstrap draw, then without each group; none where
    there are too few groups."""
    groups: list[int]
    """Numbers of the groups with rows that have a cosine."""


def _rank_cosines(sample: Sample) -> Ranked:
    cosines, groups = cosines_to_others(sample)
    order = np.argsort(cosines, kind="stable")
    numbers, owners = np.unique(groups[order], return_inverse=True)
    # The direction of the mean is held fixed: leaving a group out of it hardly moves it.
    number = len(numbers)
    weights = np.concatenate([intervals.group_draws(number), intervals.left_out_weights(number)])
    reached = np.cumsum(weights[: len(weights) * (number >= intervals.MIN_GROUPS), owners], axis=1)
    return Ranked(cosines=cosines[order], reached=reached, groups=numbers.tolist())


def _measure_quantile(ranked: Callable[[], Ranked], share: float) -> Measured:
    cosines, reached, groups = ranked().cosines, ranked().reached, ranked().groups
    estimate = intervals.Estimate(value=float(np.quantile(cosines, share)))
    if len(reached):
        found = cosines[(reached < share * reached[:, -1:]).sum(axis=1)]
        drawn, left_out = found[: -len(groups)], found[-len(groups) :]
        estimate = intervals.percentile_interval(estimate.value, drawn, left_out)
    return Measured(estimate=estimate, num_rows=len(cosines), groups=groups)


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
