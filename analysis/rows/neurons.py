"""Per-neuron sums of a base and an aligned model over the same tokens: means, spreads, no rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64


@dataclass(frozen=True, kw_only=True, eq=False)
class NeuronSums:
    """Sums over rows of the activations of every neuron, in both models; mergeable."""

    num_rows: int
    """Rows summed."""
    base: Float64[np.ndarray, " d"]
    """Sum of the base model's activations."""
    base_square: Float64[np.ndarray, " d"]
    """Sum of their squares."""
    aligned: Float64[np.ndarray, " d"]
    """Sum of the aligned model's activations."""
    aligned_square: Float64[np.ndarray, " d"]
    """Sum of their squares."""

    @classmethod
    def from_rows(
        cls, base: Float[np.ndarray, "rows d"], aligned: Float[np.ndarray, "rows d"]
    ) -> NeuronSums:
        """Sums over rows of both models on the same tokens."""
        exact, other = base.astype(np.float64), aligned.astype(np.float64)
        return cls(
            num_rows=len(exact),
            base=exact.sum(axis=0),
            base_square=np.square(exact).sum(axis=0),
            aligned=other.sum(axis=0),
            aligned_square=np.square(other).sum(axis=0),
        )

    def merge(self, other: NeuronSums) -> NeuronSums:
        """Sums over the rows of both."""
        return NeuronSums(
            num_rows=self.num_rows + other.num_rows,
            base=self.base + other.base,
            base_square=self.base_square + other.base_square,
            aligned=self.aligned + other.aligned,
            aligned_square=self.aligned_square + other.aligned_square,
        )

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Plain arrays for a safetensors file."""
        sums = np.stack([self.base, self.base_square, self.aligned, self.aligned_square])
        return {"num_rows": np.array([self.num_rows], dtype=np.int64), "sums": sums}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> NeuronSums:
        """The inverse of `to_arrays`."""
        base, base_square, aligned, aligned_square = arrays["sums"]
        return cls(
            num_rows=int(arrays["num_rows"][0]),
            base=base,
            base_square=base_square,
            aligned=aligned,
            aligned_square=aligned_square,
        )
