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
    """Layer of each vector, the most toxic first."""
    neurons: Int64[np.ndarray, " n"]
    """Neuron of each vector: its coordinate at the sites mlp_act, mlp_gate and mlp_linear."""
    cosines: Float64[np.ndarray, " n"]
    """Cosine of each vector with W_toxic."""
    vectors: Float32[np.ndarray, "n d"]
    """The vectors, not normalised."""


def rank_value_vectors(
    direction: Float64[np.ndarray, " d"],
    num_layers: int,
    value_vectors: Callable[[int], Float32[np.ndarray, "neurons d"]],
    most: int,
) -> ToxicValueVectors:
    """Return the `most` value vectors with the largest cosine with a direction, of all layers.

    Vectors of length 0 are left out. `value_vectors` is called for one layer at a time.
    """
    layers = [
        _rank_layer(direction, layer, value_vectors(layer), most) for layer in range(num_layers)
    ]
    cosines = np.concatenate([layer.cosines for layer in layers])
    order = np.argsort(-cosines, kind="stable")[:most]
    return ToxicValueVectors(
        layers=np.concatenate([layer.layers for layer in layers])[order],
        neurons=np.concatenate([layer.neurons for layer in layers])[order],
        cosines=cosines[order],
        vectors=np.concatenate([layer.vectors for layer in layers])[order],
    )


def _rank_layer(
    direction: Float64[np.ndarray, " d"],
    layer: int,
    vectors: Float32[np.ndarray, "neurons d"],
    most: int,
) -> ToxicValueVectors:
    lengths = np.linalg.norm(vectors, axis=1).astype(np.float64)
    along = vectors @ (direction / np.linalg.norm(direction))
    last = np.full(len(vectors), -np.inf)
    cosines = np.divide(along, lengths, out=last, where=lengths > 0)
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
    """Directions of length 1, the strongest first, each with the sign that makes its cosine with
    W_toxic positive: a singular vector has no sign of its own."""
    singular_values: Float64[np.ndarray, " k"]
    """Singular value of each direction."""
    cosines: Float64[np.ndarray, " k"]
    """Cosine of each direction with W_toxic; near 0 the sign of the direction is arbitrary."""


def find_shared_directions(
    toxic: ToxicValueVectors,
    direction: Float64[np.ndarray, " d"],
    most: int,
    *,
    normalised: bool = False,
) -> SharedDirections:
    """Decompose the vectors by SVD, not centred (Lee et al. 2024, 3.2).

    `normalised`: each at length 1 first, as their code does; their text does not say so.
    """
    vectors = toxic.vectors.astype(np.float64)
    if normalised:
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    _, strengths, rows = np.linalg.svd(vectors, full_matrices=False)
    number = min(most, int((strengths > strengths[:1] * 1e-7).sum()))
    rows, strengths = rows[:number], strengths[:number]
    cosines = rows @ (direction / np.linalg.norm(direction))
    signs = np.where(cosines < 0, -1.0, 1.0)
    return SharedDirections(
        directions=rows * signs[:, None], singular_values=strengths, cosines=cosines * signs
    )
