"""What a `probe-direction` job leaves, written and read: directions, neurons, and what they say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from analysis.rows.summary import ToxicDirections
from jobs.artifacts.artifact import Artifact
from jobs.probing.linear_probe import LinearProbe
from jobs.probing.toxic_value_vectors import SharedDirections, ToxicValueVectors

TENSORS = "toxic_directions.safetensors"
"""`probe` [d], `svd` [k, d], `singular_values`, `svd_cosines` [k], and of the toxic value vectors
`layers`, `neurons`, `cosines` [n], `vectors` [n, d]."""
DESCRIPTION = "toxic_directions.json"
"""Where the probe reads, how well, and the words that each direction writes."""


def write(
    folder: Path,
    probe: LinearProbe,
    found: ToxicValueVectors,
    shared: SharedDirections,
    description: Mapping[str, Any],
) -> None:
    """Write both files."""
    from safetensors.numpy import save_file

    arrays = {
        "probe": probe.direction.astype(np.float32),
        "svd": shared.directions.astype(np.float32),
        "singular_values": shared.singular_values,
        "svd_cosines": shared.cosines,
        "layers": found.layers,
        "neurons": found.neurons,
        "cosines": found.cosines,
        "vectors": found.vectors.astype(np.float32),
    }
    save_file({name: np.ascontiguousarray(each) for name, each in arrays.items()}, folder / TENSORS)
    text = json.dumps(description, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    (folder / DESCRIPTION).write_text(text, encoding="utf-8")


class StoredDirections:
    """The toxic directions of one model, as metrics take them."""

    def __init__(self, artifact: Artifact) -> None:
        from safetensors.numpy import load_file

        arrays = load_file(artifact.path(TENSORS))
        self.directions = ToxicDirections(probe=_wide(arrays["probe"]), svd=_wide(arrays["svd"]))
        """In the coordinates of the residual stream."""
        self._layers, self._neurons = arrays["layers"], arrays["neurons"]
        self._vectors = arrays["vectors"]

    def neurons(self, layer: int) -> Int64[np.ndarray, " k"]:
        """Neurons of a layer whose value vectors are toxic, the most toxic first."""
        return np.asarray(self._neurons[self._layers == layer])

    def most_toxic(self, number: int) -> Mapping[int, Int64[np.ndarray, " k"]]:
        """Layer -> its neurons among the `number` most toxic of all layers together."""
        layers, neurons = self._layers[:number], self._neurons[:number]
        return {int(layer): neurons[layers == layer] for layer in np.unique(layers)}

    @property
    def most_toxic_vector(self) -> Float64[np.ndarray, " d"]:
        """The value vector with the largest cosine with the probe, at its own length."""
        return _wide(self._vectors[0])


def _wide(array: np.ndarray) -> np.ndarray:
    return np.asarray(array.astype(np.float64))
