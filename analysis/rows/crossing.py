"""Inner products of mean rows over pairs of different prompt groups: free of each mean's noise."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from analysis.rows.moments import Moments


def sums_of(
    moments: dict[int, Moments], numbers: list[int]
) -> tuple[Float64[np.ndarray, "groups d"], Float64[np.ndarray, " groups"]]:
    """Sum and number of the rows of each group, zeros where a condition lacks the group."""
    empty = Moments.empty(len(next(iter(moments.values())).mean))
    found = [moments.get(number, empty) for number in numbers]
    counts = np.array([float(group.num_rows) for group in found])
    return np.stack([group.mean for group in found]) * counts[:, None], counts


def crossed(
    first: Float64[np.ndarray, "groups d"],
    first_counts: Float64[np.ndarray, " groups"],
    second: Float64[np.ndarray, "groups d"],
    second_counts: Float64[np.ndarray, " groups"],
) -> Float64[np.ndarray, " leave"]:
    """Mean inner product over pairs of rows of different groups: of all, then without each group.

    NaN where no such pair is left.
    """

    def leave(parts: np.ndarray) -> np.ndarray:
        return np.asarray(np.concatenate([parts.sum(axis=0)[None], parts.sum(axis=0) - parts]))

    products = np.einsum("gd,gd->g", first, second)
    above = np.einsum("gd,gd->g", leave(first), leave(second)) - leave(products)
    pairs = leave(first_counts) * leave(second_counts) - leave(first_counts * second_counts)
    return np.asarray(np.divide(above, pairs, out=np.full(len(above), np.nan), where=pairs > 0))
