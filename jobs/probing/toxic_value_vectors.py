"""The value vectors of a model that lie along a direction, and what they have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64


@dataclass(frozen=True, kw_only=True, eq=False)
class ToxicValueVectors:
    """The value vectors with the largest cosine with W_toxic, of all layers together."""

    layers: Int64[np.ndarray, " n"]
    """Layer of each, the most toxic first."""
    neurons: Int64[np.ndarray, " n"]
    """Its neuron: its coordinate at the sites mlp_act, mlp_gate and mlp_linear."""
    cosines: Float64[np.ndarray, " n"]
    """Its cosine with W_toxic."""
    vectors: Float32[np.ndarray, "n d"]
    """Itself, at its own length."""


def rank_value_vectors(
    direction: Float64[np.ndarray, " d"],
    num_layers: int,
    value_vectors: Callable[[int], Float32[np.ndarray, "neurons d"]],
    most: int,
) -> ToxicValueVectors:
    """The first `most` of all; one layer is looked at at a time. Zero vectors have no direction."""
    found = [_of_layer(direction, layer, value_vectors(layer), most) for layer in range(num_layers)]
    cosines = np.concatenate([each.cosines for each in found])
    order = np.argsort(-cosines, kind="stable")[:most]
    return ToxicValueVectors(
        layers=np.concatenate([each.layers for each in found])[order],
        neurons=np.concatenate([each.neurons for each in found])[order],
        cosines=cosines[order],
        vectors=np.concatenate([each.vectors for each in found])[order],
    )


def _of_layer(
    direction: Float64[np.ndarray, " d"],
    layer: int,
    vectors: Float32[np.ndarray, "neurons d"],
    most: int,
) -> ToxicValueVectors:
    lengths = np.linalg.norm(vectors, axis=1).astype(np.float64)
    along = vectors @ (direction / np.linalg.norm(direction))
    nothing = np.full(len(vectors), -np.inf)
    cosines = np.divide(along, lengths, out=nothing, where=lengths > 0)
    order = np.argsort(-cosines, kind="stable")[:most]
    order = order[np.isfinite(cosines[order])]
    return ToxicValueVectors(
        layers=np.full(len(order), layer, dtype=np.int64),
        neurons=order.astype(np.int64),
        cosines=cosines[order],
        vectors=vectors[order],
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class SharedDirections:
    """Leading right singular vectors of the toxic value vectors."""

    directions: Float64[np.ndarray, "k d"]
    """Of length 1, the strongest first; each on the side of W_toxic: a singular vector has no sign
    of its own."""
    singular_values: Float64[np.ndarray, " k"]
    """How strong each is."""
    cosines: Float64[np.ndarray, " k"]
    """With W_toxic: near 0 the side means nothing."""


def find_shared_directions(
    found: ToxicValueVectors, direction: Float64[np.ndarray, " d"], most: int
) -> SharedDirections:
    """SVD of the vectors as they are, neither centred nor normalised (Lee et al. 2024, 3.2)."""
    _, strengths, rows = np.linalg.svd(found.vectors.astype(np.float64), full_matrices=False)
    number = min(most, int((strengths > strengths[:1] * 1e-7).sum()))
    rows, strengths = rows[:number], strengths[:number]
    cosines = rows @ (direction / np.linalg.norm(direction))
    sides = np.where(cosines < 0, -1.0, 1.0)
    return SharedDirections(
        directions=rows * sides[:, None], singular_values=strengths, cosines=cosines * sides
    )
