"""Sums of each neuron's activations in the base and the aligned model, over the same tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from analysis.rows.sums import Sums


@dataclass(frozen=True, kw_only=True, eq=False)
class NeuronSums(Sums):
    """Sums over rows, from which means and variances of every neuron follow."""

    num_rows: int
    """Number of rows."""
    base: Float64[np.ndarray, " d"]
    """Sum of the base model's activations."""
    base_square: Float64[np.ndarray, " d"]
    """Sum of the squares of the base model's activations."""
    aligned: Float64[np.ndarray, " d"]
    """Sum of the aligned model's activations."""
    aligned_square: Float64[np.ndarray, " d"]
    """Sum of the squares of the aligned model's activations."""

    @classmethod
    def from_rows(
        cls, base: Float[np.ndarray, "rows d"], aligned: Float[np.ndarray, "rows d"]
    ) -> NeuronSums:
        """Sum over the rows of both models on the same tokens."""
        exact, other = base.astype(np.float64), aligned.astype(np.float64)
        return cls(
            num_rows=len(exact),
            base=exact.sum(axis=0),
            base_square=np.square(exact).sum(axis=0),
            aligned=other.sum(axis=0),
            aligned_square=np.square(other).sum(axis=0),
        )

    def to_arrays(self, prefix: str = "") -> dict[str, np.ndarray]:
        """Return arrays for a safetensors file."""
        sums = np.stack([self.base, self.base_square, self.aligned, self.aligned_square])
        num_rows = np.array([self.num_rows], dtype=np.int64)
        return {f"{prefix}num_rows": num_rows, f"{prefix}sums": sums}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], prefix: str = "") -> NeuronSums:
        """Read what `to_arrays` returned."""
        names = ("base", "base_square", "aligned", "aligned_square")
        sums = dict(zip(names, arrays[f"{prefix}sums"], strict=True))
        return cls(num_rows=int(arrays[f"{prefix}num_rows"][0]), **sums)
