"""Sums of the activations of neurons by prompt group, and which neurons are the toxic ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int

from analysis.evaluation import UnmeasurableError
from analysis.status import Status
from analysis.summary import Sample


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
