"""Sums of unit rows: what mean cosines between different prompts need, and nothing per pair."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Float64, Int


@dataclass(frozen=True, kw_only=True, eq=False)
class DirectionSums:
    """Sums over unit rows u = x / |x|. Mergeable as long as no prompt is cut in two."""

    num_rows: int
    """Rows with a direction (not zero)."""
    num_zero_rows: int
    """Rows of norm zero, which have none and are left out of everything else here."""
    unit_sum: Float64[np.ndarray, " d"]
    """S = sum of u."""
    prompt_square: float
    """Sum over prompts p of |S_p|^2, S_p the part of S that comes from p."""
    prompt_count_square: int
    """Sum over prompts of n_p^2, n_p its rows with a direction."""

    @classmethod
    def empty(cls, dimension: int) -> DirectionSums:
        """The neutral element of `merge`."""
        return cls(
            num_rows=0,
            num_zero_rows=0,
            unit_sum=np.zeros(dimension),
            prompt_square=0.0,
            prompt_count_square=0,
        )

    @classmethod
    def from_rows(
        cls, rows: Float[np.ndarray, "rows d"], prompts: Int[np.ndarray, " rows"]
    ) -> DirectionSums:
        """Sums over rows, each with the prompt it belongs to, in any order."""
        exact = rows.astype(np.float64)
        norms = np.linalg.norm(exact, axis=1)
        keep = norms > 0
        num_zero = int(len(rows) - keep.sum())
        if num_zero == len(rows):
            return replace(cls.empty(rows.shape[1]), num_zero_rows=num_zero)
        order = np.argsort(prompts[keep], kind="stable")
        units = (exact[keep] / norms[keep, None])[order]
        _, starts, counts = np.unique(prompts[keep][order], return_index=True, return_counts=True)
        per_prompt = np.add.reduceat(units, starts, axis=0)
        return cls(
            num_rows=len(units),
            num_zero_rows=num_zero,
            unit_sum=per_prompt.sum(axis=0),
            prompt_square=float(np.vdot(per_prompt, per_prompt)),
            prompt_count_square=int(np.square(counts).sum()),
        )

    def merge(self, other: DirectionSums) -> DirectionSums:
        """Sums over the rows of both; their prompts must be different ones."""
        return DirectionSums(
            num_rows=self.num_rows + other.num_rows,
            num_zero_rows=self.num_zero_rows + other.num_zero_rows,
            unit_sum=self.unit_sum + other.unit_sum,
            prompt_square=self.prompt_square + other.prompt_square,
            prompt_count_square=self.prompt_count_square + other.prompt_count_square,
        )

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Plain arrays for a safetensors file."""
        counts = [self.num_rows, self.num_zero_rows, self.prompt_count_square]
        return {
            "counts": np.array(counts, dtype=np.int64),
            "unit_sum": self.unit_sum,
            "prompt_square": np.array([self.prompt_square]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> DirectionSums:
        """The inverse of `to_arrays`."""
        num_rows, num_zero_rows, prompt_count_square = (int(count) for count in arrays["counts"])
        return cls(
            num_rows=num_rows,
            num_zero_rows=num_zero_rows,
            unit_sum=arrays["unit_sum"],
            prompt_square=float(arrays["prompt_square"][0]),
            prompt_count_square=prompt_count_square,
        )
