"""How many coordinates the rows need locally: the ratio of distances to two nearest neighbours."""

from __future__ import annotations

from functools import partial

import numpy as np

from analysis.estimates.evaluation import Measured, UnmeasurableError, require_kept
from analysis.estimates.intervals import MIN_GROUPS, Estimate
from analysis.estimates.local_dimension import LocalDimension
from analysis.metric import Computation, Metric
from analysis.rows.neighbours import Neighbours, find_distinct
from analysis.rows.summary import Sample
from analysis.status import Status


class IntrinsicDimension(Metric):
    """Facco, d'Errico, Rodriguez and Laio 2017, by maximum likelihood, unbiased as N / (N - 1).

    Above 0; rotating, shifting or scaling all rows changes nothing. One row per prompt: the
    neighbours of a row of the same prompt would tell of that prompt, not of all rows.

    It supposes that rows are dense at the distance of two neighbours, which the rows themselves
    must show: the same is read between 3, 5, 9 and 17 neighbours, and where the number may still
    move by a quarter, or surely moves, it is refused (many dimensions, noise about a manifold,
    curvature, clumps). What may be left of a movement is in the interval.
    """

    DEFINITION = (
        "v3: TwoNN, (N - 1) / sum log(r2 / r1) over the first kept row of every prompt, "
        "duplicates (nearer than 1e-6 of the spread) dropped; interval: delete-group jackknife "
        "over 1.5, neighbours found anew, of every reading between 2 to 17 neighbours and of the "
        "first less the bias left; refused where that may be over a quarter"
    )
    REPORTS = ("intrinsic_dimension",)
    AXIS_LABEL = "intrinsic dimension (TwoNN)"
    RANGES = {"intrinsic_dimension": (0.0, None)}

    def prepare(self, sample: Sample, against: Sample | None, centred: bool) -> list[Computation]:
        """Return what computes each value."""
        return [partial(_measure_dimension, sample)]


def _measure_dimension(sample: Sample) -> Measured:
    kept = require_kept(sample)
    rows = kept.rows.astype(np.float64)
    rows = rows - rows.mean(axis=0)
    distinct = find_distinct(rows)
    rows = rows[distinct]
    if len(rows) < 3:
        reason = f"{len(rows)} different rows, two neighbours need 3"
        raise UnmeasurableError(reason, Status.TOO_FEW_GROUPS)
    numbers, owners = np.unique(kept.groups[distinct], return_inverse=True)
    estimate = (
        _without_interval(rows)
        if len(numbers) < MIN_GROUPS
        else LocalDimension.of(rows, owners).estimate()
    )
    return Measured(estimate=estimate, num_rows=len(rows), groups=numbers.tolist())


def _without_interval(rows: np.ndarray) -> Estimate:
    two = Neighbours.of(rows, 2).logarithms
    total = float((two[:, 1] - two[:, 0]).sum())
    if not total > 0:
        raise UnmeasurableError("every row has its two neighbours at one distance")
    return Estimate(value=(len(rows) - 1) / total)
