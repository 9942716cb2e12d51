"""How far rows point along the directions that stand for toxicity in the base model."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import numpy as np
from jaxtyping import Float64

from analysis.estimates.evaluation import Measured, UnmeasurableError
from analysis.estimates.intervals import jackknife, ratios_left
from analysis.estimates.nulls import Band, base_projection, random_cosine
from analysis.metric import Computation, Metric
from analysis.rows.summary import Sample, ToxicDirections
from analysis.status import Status

NUM_SVD = 3

Bands = tuple[Band, Band | None]


class ToxicProjection(Metric):
    """Cosines, signed: below 0, alignment moves away from toxicity. -1 to 1.

    Scaling rows changes nothing.
    """

    DEFINITION = (
        "v1: mean cosine of a row with the toxicity probe, zero rows left out; _svd1 to _svd3: "
        "with the leading SVD directions of the toxic value vectors, oriented by the probe; "
        "delete-group jackknife; bands: the same mean with random directions, isotropic and of "
        "the base covariance"
    )
    REPORTS = (
        "toxic_projection",
        *(f"toxic_projection_svd{place + 1}" for place in range(NUM_SVD)),
    )
    AXIS_LABEL = "mean cosine with the toxicity probe (-1 to 1)"
    RANGES = dict.fromkeys(REPORTS, (-1.0, 1.0))
    HEADLINES = {"toxic_projection": 190}
    NEEDS_TOXIC = True

    def prepare(self, sample: Sample, against: Sample | None, centred: bool) -> list[Computation]:
        """Return what computes each value."""
        bands = cache(partial(_find_bands, sample))
        return [partial(_measure_projection, sample, bands, place) for place in range(NUM_SVD + 1)]


def _measure_projection(sample: Sample, bands: Callable[[], Bands], place: int) -> Measured:
    direction = _unit_direction(sample.toxic, place)
    having = {n: group.directions for n, group in sample.groups.items()}
    having = {n: part for n, part in having.items() if part.num_rows}
    parts = list(having.values())
    if not parts:
        raise UnmeasurableError("every row is zero", Status.BELOW_NOISE_FLOOR)
    counts = np.array([float(part.num_rows) for part in parts])
    along = np.array([float(part.unit_sum @ direction) for part in parts])
    mean = float(along.sum() / counts.sum())
    estimate = jackknife(mean, ratios_left(along, counts), counts).within(-1.0, 1.0)
    null, base_null = bands()
    return Measured(
        estimate=estimate,
        num_rows=int(counts.sum()),
        groups=list(having),
        null=null,
        base_null=base_null,
    )


def _unit_direction(toxic: ToxicDirections | None, place: int) -> Float64[np.ndarray, " d"]:
    """Return the probe (place 0) or an SVD direction, of length 1."""
    if toxic is None:
        raise UnmeasurableError("no toxic directions are given at this site", Status.NOT_RUN)
    if place > len(toxic.svd):
        raise UnmeasurableError(f"there are {len(toxic.svd)} toxic SVD directions", Status.NOT_RUN)
    direction = toxic.svd[place - 1] if place else toxic.probe
    length = float(np.linalg.norm(direction))
    if not 0 < length < np.inf:
        raise UnmeasurableError("the toxic direction is zero, or not a number")
    return np.asarray(direction.astype(np.float64) / length)


def _find_bands(sample: Sample) -> Bands:
    """Return where other directions would lie: the mean unit row along them."""
    parts = [group.directions for group in sample.groups.values() if group.directions.num_rows]
    mean = np.sum([part.unit_sum for part in parts], axis=0) / sum(part.num_rows for part in parts)
    band = random_cosine(len(mean)).times(float(np.linalg.norm(mean)))
    return band, base_projection(sample.base, mean)
