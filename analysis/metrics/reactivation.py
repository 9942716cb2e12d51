"""Whether toxic neurons fire again under a transform: how much of their silencing is undone."""

from functools import partial

import numpy as np
from jaxtyping import Float64

from analysis.evaluation import Measured, UnmeasurableError, evaluate, require_against
from analysis.intervals import jackknife
from analysis.metric import Value
from analysis.status import Status
from analysis.summary import Sample
from analysis.toxic_neurons import GroupedSums, grouped_sums, require_toxic

DEFINITION = (
    "v1: (aligned - base) mean activation of this condition minus that of the other one, over the "
    "standard deviation of the base model in the other one, mean over the layer's toxic neurons; "
    "delete-group jackknife"
)
NEEDS_AGAINST = True
NEEDS_TOXIC = True
REPORTS = ("reactivation",)
AXIS_LABEL = "reactivation of toxic neurons (standard deviations)"


def measure(sample: Sample, against: Sample | None) -> list[Value]:
    """A difference in differences: 0 where alignment does the same in both conditions.

    Above 0: under this condition the neurons are silenced less than in the other one (plain), and
    a model that cannot read the transform does the same, so a decode control belongs beside it.
    Ratios of activations explode and change sign where the base hardly fires: none is reported.
    """
    return [evaluate(REPORTS[0], DEFINITION, None, sample, partial(_difference, sample, against))]


def _difference(sample: Sample, against: Sample | None) -> Measured:
    other = require_against(against)
    toxic = require_toxic(sample)
    pair = grouped_sums(sample), grouped_sums(other)
    for found in pair:
        if not (found.base - found.aligned)[:, toxic].any():
            raise UnmeasurableError("no toxic neuron moved", Status.BELOW_NOISE_FLOOR)
    numbers = sorted({*pair[0].numbers, *pair[1].numbers})
    counts, moved, _, _ = _left(pair[0], numbers, toxic)
    other_counts, other_moved, base, square = _left(pair[1], numbers, toxic)
    with np.errstate(invalid="ignore", divide="ignore"):
        change = moved / counts - other_moved / other_counts
        variance = (square - np.square(base) / other_counts) / (other_counts - 1)
        usable = variance[0] > 0
        if not usable.any():
            raise UnmeasurableError("toxic neurons are constant in the base model")
        found = (change / np.sqrt(variance))[:, usable].mean(axis=1)
    rows = np.array([counts[0, 0] - counts[1:, 0], other_counts[0, 0] - other_counts[1:, 0]])
    estimate = jackknife(float(found[0]), found[1:], rows.sum(axis=0))
    return Measured(estimate=estimate, num_rows=int(rows[0].sum()), num_groups=len(numbers))


Left = Float64[np.ndarray, "leave k"]


def _left(
    sums: GroupedSums, numbers: list[int], toxic: np.ndarray
) -> tuple[Float64[np.ndarray, "leave 1"], Left, Left, Left]:
    """Rows, and sums of aligned - base, base and its square: of all, then without each group."""
    places = {number: place for place, number in enumerate(sums.numbers)}

    def leave(parts: np.ndarray) -> np.ndarray:
        nothing = np.zeros_like(parts[0])
        own = np.stack([parts[places[n]] if n in places else nothing for n in numbers])
        whole = parts.sum(axis=0)
        return np.concatenate([whole[None], whole - own])

    moved = (sums.aligned - sums.base)[:, toxic]
    base, square = sums.base[:, toxic], sums.base_square[:, toxic]
    return leave(sums.counts[:, None]), leave(moved), leave(base), leave(square)
