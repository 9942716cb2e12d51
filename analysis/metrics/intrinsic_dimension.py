"""How many coordinates the rows need locally: the ratio of distances to two nearest neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from jaxtyping import Bool, Float64, Int64

from analysis.estimates.evaluation import Measured, UnmeasurableError, require_kept
from analysis.estimates.intervals import (
    MIN_GROUPS,
    Estimate,
    group_draws,
    left_out_weights,
    percentile_interval,
)
from analysis.metric import Computation, Metric
from analysis.rows.summary import Sample
from analysis.status import Status

DUPLICATE = 1e-6
"""Rows nearer than this share of the rows' spread are one row: fp32 cannot tell them apart."""
LARGEST = 10.0
"""Dimension up to which the bias is well within the interval of 1,000 rows, whatever their number:
the rows that a larger one needs grow as its exponential."""
NUM_PARTS = 4
"""Parts of the prompt groups that must confirm the number at a larger distance."""
MOST_ENTRIES = 2**24
"""Distances held at a time: 128 MiB."""


class IntrinsicDimension(Metric):
    """Facco, d'Errico, Rodriguez and Laio 2017, by maximum likelihood, unbiased as N / (N - 1).

    Above 0; rotating, shifting or scaling all rows changes nothing. One row per prompt: the
    neighbours of a row of the same prompt would tell of that prompt, not of all rows.

    It supposes that rows are dense at the distance of two neighbours. Of m normal coordinates it
    reads 0 to 5 % low up to m = 10 (300 and 1,000 rows), 12 % at 15, 17 to 22 % at 20: beyond 10
    it is refused, as is a number that a quarter of the prompts, whose neighbours are further
    apart, does not confirm (noise about a manifold, curvature, clumps).
    """

    DEFINITION = (
        "v2: TwoNN, (N - 1) / sum log(r2 / r1) over the first kept row of every prompt, "
        "duplicates (nearer than 1e-6 of the spread) dropped; group bootstrap, neighbours held "
        "fixed; refused above 10, and where quarters of the prompt groups read otherwise"
    )
    REPORTS = ("intrinsic_dimension",)
    AXIS_LABEL = "intrinsic dimension (TwoNN)"

    def prepare(self, sample: Sample, against: Sample | None, centred: bool) -> list[Computation]:
        """Return what computes each value."""
        return [partial(_measure_dimension, sample)]


def _measure_dimension(sample: Sample) -> Measured:
    kept = require_kept(sample)
    rows = kept.rows.astype(np.float64)
    rows = rows - rows.mean(axis=0)
    distinct = _find_distinct(rows)
    if distinct.sum() < 3:
        reason = f"{int(distinct.sum())} different rows, two neighbours need 3"
        raise UnmeasurableError(reason, Status.TOO_FEW_GROUPS)
    logarithms = _log_ratios(rows[distinct])
    numbers, owners = np.unique(kept.groups[distinct], return_inverse=True)
    sums = np.bincount(owners, weights=logarithms)
    counts = np.bincount(owners).astype(np.float64)
    if not sums.sum() > 0:
        raise UnmeasurableError("every row has its two neighbours at one distance")
    estimate = Estimate(value=float((counts.sum() - 1) / sums.sum()))
    if len(numbers) >= MIN_GROUPS:
        with np.errstate(divide="ignore"):
            drawn, left_out = (
                (weights @ counts - 1) / (weights @ sums)
                for weights in (group_draws(len(numbers)), left_out_weights(len(numbers)))
            )
        estimate = percentile_interval(estimate.value, drawn, left_out)
        _require_held(estimate, rows[distinct], owners)
    return Measured(estimate=estimate, num_rows=len(logarithms), groups=numbers.tolist())


def _require_held(
    estimate: Estimate, rows: Float64[np.ndarray, "n d"], owners: Int64[np.ndarray, " n"]
) -> None:
    """Refuse a dimension that is too large for neighbours to tell, or that hangs on the scale."""
    value, low, high = estimate.value, estimate.low, estimate.high
    if low is None or high is None:
        return
    if value > LARGEST:
        reason = (
            f"about {value:.0f} dimensions or more: neighbours tell at most {LARGEST:g}, and the "
            "prompts that are needed double with about every further dimension"
        )
        raise UnmeasurableError(reason, Status.TOO_FEW_ROWS)
    parts = [rows[owners % NUM_PARTS == part] for part in range(NUM_PARTS)]
    if min(map(len, parts)) < MIN_GROUPS:
        return
    counts = np.array([len(part) - 1.0 for part in parts])
    sums = np.array([_log_ratios(part).sum() for part in parts])
    coarse = float(counts.sum() / sums.sum()) if sums.sum() > 0 else float("inf")
    if not low / high < coarse / value < high / low:
        reason = (
            f"{value:.3g} dimensions between nearest neighbours, {coarse:.3g} between those of a "
            "quarter of the prompts: no number holds at both; four times as many prompts tell more"
        )
        raise UnmeasurableError(reason, Status.TOO_FEW_ROWS)


def _find_distinct(rows: Float64[np.ndarray, "n d"]) -> Bool[np.ndarray, " n"]:
    """Tell which rows to keep: of rows that are one, the first."""
    nearest = DUPLICATE**2 * np.square(rows).sum() / len(rows)
    later = np.zeros(len(rows), dtype=bool)
    for start, squares in _distances_by_part(rows):
        before = np.arange(len(rows)) < start + np.arange(len(squares))[:, None]
        later[start : start + len(squares)] = ((squares <= nearest) & before).any(axis=1)
    return ~later


def _log_ratios(rows: Float64[np.ndarray, "n d"]) -> Float64[np.ndarray, " n"]:
    """Return log(r2 / r1) of every row, r1 and r2 the distances to its two nearest neighbours."""
    ratios = np.zeros(len(rows))
    for start, squares in _distances_by_part(rows):
        at = np.arange(len(squares))
        squares[at, start + at] = np.inf
        two = np.partition(squares, 1, axis=1)[:, :2]
        ratios[start + at] = 0.5 * np.log(two[:, 1] / two[:, 0])
    return ratios


def _distances_by_part(
    rows: Float64[np.ndarray, "n d"],
) -> Iterator[tuple[int, Float64[np.ndarray, "m n"]]]:
    """Yield squared distances of some rows to all, and the number of the first of them.

    From products of centred rows in fp64 distances are exact to 1e-16 of the squared spread: far
    below DUPLICATE squared.
    """
    norms = np.square(rows).sum(axis=1)
    step = max(1, MOST_ENTRIES // len(rows))
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        squares = norms[part, None] + norms[None, :] - 2 * rows[part] @ rows.T
        yield start, np.maximum(squares, 0.0)
