"""Whether two conditions share the direction of their mean offset."""

from functools import partial

import numpy as np
from jaxtyping import Float64

from analysis.evaluation import (
    Measured,
    UnmeasurableError,
    evaluate,
    require_against,
    require_energy,
    require_groups,
    require_moments,
)
from analysis.intervals import jackknife
from analysis.metric import Value
from analysis.moments import Moments
from analysis.status import Status
from analysis.summary import Sample

DEFINITION = (
    "v1: cosine of the mean rows of two conditions, inner product and both norms only over pairs "
    "of rows of different prompt groups; delete-group jackknife"
)
NEEDS_AGAINST = True
REPORTS = ("mean_cosine",)
AXIS_LABEL = "cosine of mean offsets (-1 to 1)"


def measure(sample: Sample, against: Sample | None) -> list[Value]:
    """Crossing groups keeps the noise of each mean out of the norms, so nothing is attenuated."""
    return [evaluate(REPORTS[0], DEFINITION, None, sample, partial(_cosine, sample, against))]


def _cosine(sample: Sample, other: Sample | None) -> Measured:
    pair = require_moments(sample), require_moments(require_against(other))
    numbers = sorted(pair[0].keys() | pair[1].keys())
    require_groups(len(numbers), 2)
    (sums, counts), (other_sums, other_counts) = (_sums(half, numbers) for half in pair)
    require_energy(np.square(sums).sum(axis=1))
    require_energy(np.square(other_sums).sum(axis=1))
    inner = _crossed(sums, counts, other_sums, other_counts)
    square = _crossed(sums, counts, sums, counts)
    other_square = _crossed(other_sums, other_counts, other_sums, other_counts)
    if not min(square[0], other_square[0]) > 0:
        reason = "a mean offset is not distinguishable from zero: groups do not agree on it"
        raise UnmeasurableError(reason, Status.BELOW_NOISE_FLOOR)
    with np.errstate(invalid="ignore", divide="ignore"):
        cosines = inner / np.sqrt(square * other_square)
    whole, left_out = float(cosines[0]), cosines[1:]
    estimate = jackknife(whole, left_out, counts + other_counts).within(-1.0, 1.0)
    return Measured(estimate=estimate, num_rows=int(counts.sum()), num_groups=len(numbers))


def _sums(
    moments: dict[int, Moments], numbers: list[int]
) -> tuple[Float64[np.ndarray, "groups d"], Float64[np.ndarray, " groups"]]:
    """Sum and number of the rows of each group, zeros where a condition lacks the group."""
    empty = Moments.empty(len(next(iter(moments.values())).mean))
    found = [moments.get(number, empty) for number in numbers]
    counts = np.array([float(group.num_rows) for group in found])
    return np.stack([group.mean for group in found]) * counts[:, None], counts


def _crossed(
    first: Float64[np.ndarray, "groups d"],
    first_counts: Float64[np.ndarray, " groups"],
    second: Float64[np.ndarray, "groups d"],
    second_counts: Float64[np.ndarray, " groups"],
) -> Float64[np.ndarray, " leave"]:
    """Mean inner product over pairs of rows of different groups: of all, then without each group.

    NaN where no such pair is left.
    """

    def leave(parts: np.ndarray) -> np.ndarray:
        return np.asarray(np.concatenate([parts.sum(axis=0)[None], parts.sum(axis=0) - parts]))

    products = np.einsum("gd,gd->g", first, second)
    above = np.einsum("gd,gd->g", leave(first), leave(second)) - leave(products)
    pairs = leave(first_counts) * leave(second_counts) - leave(first_counts * second_counts)
    return np.asarray(np.divide(above, pairs, out=np.full(len(above), np.nan), where=pairs > 0))
