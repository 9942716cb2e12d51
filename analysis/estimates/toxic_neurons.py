"""Activations of the toxic neurons of a layer: sums by group, means, random ones beside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int

from analysis.estimates.evaluation import Measured, UnmeasurableError
from analysis.estimates.intervals import jackknife
from analysis.estimates.nulls import NUM_DIRECTIONS, Band
from analysis.rows.summary import Sample
from analysis.status import Status


@dataclass(frozen=True, kw_only=True, eq=False)
class GroupedSums:
    """Sums over the rows of each prompt group."""

    numbers: tuple[int, ...]
    """The prompt groups."""
    counts: Float64[np.ndarray, " groups"]
    """Rows of each."""
    base: Float64[np.ndarray, "groups d"]
    """Of the base model's activations."""
    base_square: Float64[np.ndarray, "groups d"]
    """Of their squares."""
    aligned: Float64[np.ndarray, "groups d"]
    """Of the aligned model's activations."""


def grouped_sums(sample: Sample) -> GroupedSums:
    """Sums of every group with rows."""
    filled = {number: group for number, group in sample.groups.items() if group.num_rows}
    found = [group.neurons for group in filled.values()]
    kept = [neurons for neurons in found if neurons is not None]
    if len(kept) < len(found):
        raise UnmeasurableError("coordinates of this site are no neurons", Status.NOT_RUN)
    return GroupedSums(
        numbers=tuple(filled),
        counts=np.array([float(neurons.num_rows) for neurons in kept]),
        base=np.stack([neurons.base for neurons in kept]),
        base_square=np.stack([neurons.base_square for neurons in kept]),
        aligned=np.stack([neurons.aligned for neurons in kept]),
    )


def require_toxic(sample: Sample) -> Int[np.ndarray, " k"]:
    """The toxic neurons of the sample's layer, at least one."""
    if sample.toxic_neurons is None:
        raise UnmeasurableError("no toxic neurons are given at this site", Status.NOT_RUN)
    if len(sample.toxic_neurons) == 0:
        raise UnmeasurableError("none of the toxic value vectors is in this layer")
    return sample.toxic_neurons


def require_site(sample: Sample, site: str) -> None:
    """Refuse rows of another site; those of no site in particular are taken as they come."""
    if sample.site not in (None, site):
        raise UnmeasurableError(f"it is read at {site}", Status.NOT_RUN)


def mean_of_toxic(
    sample: Sample, found: GroupedSums, sums: Float64[np.ndarray, "groups d"]
) -> Measured:
    """Mean over rows and the layer's toxic neurons; beside it that of as many random neurons.

    Args:
        sample: whose neurons they are.
        found: its sums.
        sums: what to average, summed over the rows of each group: of `found`, or made of it.
    """
    toxic = require_toxic(sample)
    if not (found.base - found.aligned)[:, toxic].any():
        raise UnmeasurableError("no toxic neuron moved", Status.BELOW_NOISE_FLOOR)
    own, counts = sums[:, toxic].mean(axis=1), found.counts
    rest, nothing = counts.sum() - counts, np.full(len(counts), np.nan)
    left_out = np.divide(own.sum() - own, rest, out=nothing, where=rest > 0)
    return Measured(
        estimate=jackknife(float(own.sum() / counts.sum()), left_out, counts),
        num_rows=int(counts.sum()),
        num_groups=len(counts),
        null=_of_random_neurons(sums.sum(axis=0) / counts.sum(), len(toxic)),
    )


def _of_random_neurons(means: Float64[np.ndarray, " d"], size: int) -> Band:
    draw = np.random.default_rng(5)
    chosen = (draw.choice(len(means), size, replace=False) for _ in range(NUM_DIRECTIONS))
    return Band.of_draws(np.array([means[each].mean() for each in chosen]))
