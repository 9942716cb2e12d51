"""The files of a `probe-direction` job, written and read: directions, neurons, and their tokens."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Float64, Int64
from safetensors.numpy import load_file, save_file

from analysis.rows.summary import ToxicDirections
from jobs.artifacts.artifact import Artifact
from jobs.probing.toxic_value_vectors import SharedDirections, ToxicValueVectors

if TYPE_CHECKING:  # it takes scikit-learn, most of what a job that only reads would import
    from jobs.probing.linear_probe import LinearProbe

TENSORS = "toxic_directions.safetensors"
"""`probe` [d], `probe_length` [1], `svd` [k, d], `singular_values`, `svd_cosines` [k], and of the
toxic value vectors `layers`, `neurons`, `cosines` [n], `vectors` [n, d]."""
DESCRIPTION = "toxic_directions.json"
"""Where the probe reads, how well it does, and the tokens that each direction promotes."""


def write_directions(
    folder: Path,
    probe: LinearProbe,
    vectors: ToxicValueVectors,
    shared: SharedDirections,
    description: Mapping[str, object],
) -> None:
    """Write both files to a folder."""
    arrays = {
        "probe": probe.direction.astype(np.float32),
        "probe_length": np.array([probe.length]),
        "svd": shared.directions.astype(np.float32),
        "singular_values": shared.singular_values,
        "svd_cosines": shared.cosines,
        "layers": vectors.layers,
        "neurons": vectors.neurons,
        "cosines": vectors.cosines,
        "vectors": vectors.vectors.astype(np.float32),
    }
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    save_file(contiguous, folder / TENSORS)
    text = json.dumps(description, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    (folder / DESCRIPTION).write_text(text, encoding="utf-8")


class StoredDirections:
    """The toxic directions, neurons and value vectors of one model, read from its artifact."""

    def __init__(self, artifact: Artifact) -> None:

        arrays = load_file(artifact.path(TENSORS))
        self.directions = ToxicDirections(
            probe=_to_float64(arrays["probe"]), svd=_to_float64(arrays["svd"])
        )
        """Directions in the coordinates of the residual stream."""
        length = arrays.get("probe_length", np.ones(1))  # artifacts of before have none
        self.probe_weights = self.directions.probe * float(length[0])
        """The probe's direction at its own length: weights as they were fitted or released."""
        self._layers, self._neurons = arrays["layers"], arrays["neurons"]
        self._vectors = arrays["vectors"]

    def neurons(self, layer: int) -> Int64[np.ndarray, " k"]:
        """Return the neurons of a layer whose value vectors are toxic, the most toxic first."""
        return np.asarray(self._neurons[self._layers == layer])

    def most_toxic(self, number: int) -> Mapping[int, Int64[np.ndarray, " _"]]:
        """Return the `number` most toxic neurons of all layers together, by layer."""
        layers, neurons = self._layers[:number], self._neurons[:number]
        return {int(layer): neurons[layers == layer] for layer in np.unique(layers)}

    @property
    def most_toxic_vector(self) -> Float64[np.ndarray, " d"]:
        """The value vector with the largest cosine with the probe, at its own length."""
        return _to_float64(self._vectors[0])


def _to_float64(array: Float[np.ndarray, "*k d"]) -> Float64[np.ndarray, "*k d"]:
    return np.asarray(array.astype(np.float64))
