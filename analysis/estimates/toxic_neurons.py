"""Activations of the toxic neurons of a layer: sums by group, means, random ones beside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int

from analysis.estimates.evaluation import Measured, UnmeasurableError
from analysis.estimates.intervals import jackknife, ratios_left
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
    """Return the sums of every group with rows."""
    filled = {number: group for number, group in sample.groups.items() if group.num_rows}
    kept = [group.neurons for group in filled.values() if group.neurons is not None]
    if len(kept) < len(filled):
        raise UnmeasurableError("coordinates of this site are no neurons", Status.NOT_RUN)
    return GroupedSums(
        numbers=tuple(filled),
        counts=np.array([float(neurons.num_rows) for neurons in kept]),
        base=np.stack([neurons.base for neurons in kept]),
        base_square=np.stack([neurons.base_square for neurons in kept]),
        aligned=np.stack([neurons.aligned for neurons in kept]),
    )


def require_toxic(sample: Sample) -> Int[np.ndarray, " k"]:
    """Return the toxic neurons of the sample's layer, at least one."""
    if sample.toxic_neurons is None:
        raise UnmeasurableError("no toxic neurons are given at this site", Status.NOT_RUN)
    if len(sample.toxic_neurons) == 0:
        raise UnmeasurableError("none of the toxic value vectors is in this layer")
    return sample.toxic_neurons


def require_site(sample: Sample, site: str) -> None:
    """Refuse rows of another site; those of no site in particular are taken as they come."""
    if sample.site not in (None, site):
        raise UnmeasurableError(f"it is read at {site}", Status.NOT_RUN)


def require_moved(sums: GroupedSums, toxic: Int[np.ndarray, " k"]) -> None:
    """Refuse sums in which no toxic neuron moved."""
    if not (sums.base - sums.aligned)[:, toxic].any():
        raise UnmeasurableError("no toxic neuron moved", Status.BELOW_NOISE_FLOOR)


def measure_drop(sample: Sample, site: str) -> Measured:
    """Measure how much less the toxic neurons fire in the aligned model.

    Args:
        sample: rows with sums by neuron.
        site: the site that the value is of.

    Returns:
        Base minus aligned, mean over rows and toxic neurons; band: as many random neurons.

    Raises:
        UnmeasurableError: the rows are of another site, or no toxic neuron is known or moved.
    """
    require_site(sample, site)
    sums = grouped_sums(sample)
    return _measure_mean(sample, sums, sums.base - sums.aligned)


def measure_level(sample: Sample, site: str) -> Measured:
    """Measure how much the toxic neurons fire in the base model, as `measure_drop` does."""
    require_site(sample, site)
    sums = grouped_sums(sample)
    return _measure_mean(sample, sums, sums.base)


def _measure_mean(
    sample: Sample, sums: GroupedSums, values: Float64[np.ndarray, "groups d"]
) -> Measured:
    """Measure the mean over rows and toxic neurons of values that are summed by group."""
    toxic, counts = require_toxic(sample), sums.counts
    require_moved(sums, toxic)
    own = values[:, toxic].mean(axis=1)
    return Measured(
        estimate=jackknife(float(own.sum() / counts.sum()), ratios_left(own, counts), counts),
        num_rows=int(counts.sum()),
        groups=sums.numbers,
        null=_find_random_band(values.sum(axis=0) / counts.sum(), len(toxic)),
    )


def _find_random_band(means: Float64[np.ndarray, " d"], size: int) -> Band:
    draw = np.random.default_rng(5)
    chosen = (draw.choice(len(means), size, replace=False) for _ in range(NUM_DIRECTIONS))
    return Band.of_draws(np.array([means[neurons].mean() for neurons in chosen]))
