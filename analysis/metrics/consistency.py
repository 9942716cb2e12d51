"""Whether rows of different prompts move the same way."""

from __future__ import annotations

from functools import partial

import numpy as np

from analysis.estimates.evaluation import Measured, UnmeasurableError
from analysis.estimates.intervals import jackknife
from analysis.metric import Computation, Metric
from analysis.rows.summary import Sample
from analysis.status import Status


class Consistency(Metric):
    """(|S|^2 - sum_p |S_p|^2) / (N^2 - sum_p n_p^2): no pair within a prompt, so noise gives 0.

    S = sum of unit rows, S_p of prompt p's: a U-statistic (Hoeffding 1948) in place of the mean
    resultant length (Mardia and Jupp 2000, *Directional statistics*). -1 to 1; rotating all rows,
    or scaling each by a number above 0, changes nothing.
    """

    DEFINITION = (
        "v1: mean cosine over pairs of rows of different prompts, signed, zero rows left out; "
        "delete-group jackknife"
    )
    REPORTS = ("consistency",)
    AXIS_LABEL = "mean cosine between prompts (-1 to 1)"
    RANGES = {"consistency": (-1.0, 1.0)}
    HEADLINES = {"consistency": 120}
    OVER_ANSWER = ("consistency",)

    def prepare(self, sample: Sample, against: Sample | None, centred: bool) -> list[Computation]:
        """Return what computes each value."""
        return [partial(_measure_consistency, sample)]


def _measure_consistency(sample: Sample) -> Measured:
    having = {n: group.directions for n, group in sample.groups.items()}
    having = {n: part for n, part in having.items() if part.num_rows}
    parts = list(having.values())
    if not parts:
        raise UnmeasurableError("every row is zero", Status.BELOW_NOISE_FLOOR)
    counts = np.array([part.num_rows for part in parts], dtype=np.float64)
    count_squares = np.array([part.prompt_count_square for part in parts], dtype=np.float64)
    sums = np.stack([part.unit_sum for part in parts])
    squares = np.array([part.prompt_square for part in parts])
    num_pairs = counts.sum() ** 2 - count_squares.sum()
    if num_pairs == 0:
        raise UnmeasurableError("all rows come from one prompt", Status.TOO_FEW_GROUPS)
    whole = float((np.square(sums.sum(axis=0)).sum() - squares.sum()) / num_pairs)

    rest = np.square(sums.sum(axis=0) - sums).sum(axis=1) - (squares.sum() - squares)
    rest_pairs = np.square(counts.sum() - counts) - (count_squares.sum() - count_squares)
    left_out = np.divide(rest, rest_pairs, out=np.full(len(parts), np.nan), where=rest_pairs > 0)
    estimate = jackknife(whole, left_out, counts).within(-1.0, 1.0)
    return Measured(estimate=estimate, num_rows=int(counts.sum()), groups=list(having))
