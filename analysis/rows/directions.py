"""Sums of unit rows: what mean cosines between different prompts need, and nothing per pair."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Float64, Int

from analysis.rows.sums import Sums


@dataclass(frozen=True, kw_only=True, eq=False)
class DirectionSums(Sums):
    """Sums over unit rows u = x / |x|; two merge where no prompt is in both."""

    num_rows: int
    """Number of rows that are not zero."""
    num_zero_rows: int
    """Number of rows that are zero; the other sums leave them out."""
    unit_sum: Float64[np.ndarray, " d"]
    """S = sum of u."""
    prompt_square: float
    """Sum over prompts p of |S_p|^2, S_p the part of S from rows of p."""
    prompt_count_square: int
    """Sum over prompts p of n_p^2, n_p the number of rows of p that are not zero."""

    @classmethod
    def empty(cls, dimension: int) -> DirectionSums:
        """Return the sums over no rows."""
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
        """Sum over rows; `prompts` holds the number of each row's prompt, in any order."""
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

    def to_arrays(self, prefix: str = "") -> dict[str, np.ndarray]:
        """Return arrays for a safetensors file."""
        counts = [self.num_rows, self.num_zero_rows, self.prompt_count_square]
        return {
            f"{prefix}counts": np.array(counts, dtype=np.int64),
            f"{prefix}unit_sum": self.unit_sum,
            f"{prefix}prompt_square": np.array([self.prompt_square]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], prefix: str = "") -> DirectionSums:
        """Read what `to_arrays` returned."""
        counts = [int(count) for count in arrays[f"{prefix}counts"]]
        return cls(
            num_rows=counts[0],
            num_zero_rows=counts[1],
            unit_sum=arrays[f"{prefix}unit_sum"],
            prompt_square=float(arrays[f"{prefix}prompt_square"][0]),
            prompt_count_square=counts[2],
        )
