"""Inner products of mean rows, over pairs of different prompt groups: no mean's noise enters."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from analysis.rows.moments import Moments


def sum_by_group(
    moments: dict[int, Moments], numbers: list[int]
) -> tuple[Float64[np.ndarray, "groups d"], Float64[np.ndarray, " groups"]]:
    """Sum the rows of each prompt group.

    Args:
        moments: group number -> moments of its rows; at least one.
        numbers: the groups wanted, in this order.

    Returns:
        Sum and number of the rows of each group, zeros where `moments` lacks the group.
    """
    empty = Moments.empty(len(next(iter(moments.values())).mean))
    groups = [moments.get(number, empty) for number in numbers]
    counts = np.array([float(group.num_rows) for group in groups])
    return np.stack([group.mean for group in groups]) * counts[:, None], counts


def cross_groups(
    first: Float64[np.ndarray, "groups d"],
    first_counts: Float64[np.ndarray, " groups"],
    second: Float64[np.ndarray, "groups d"],
    second_counts: Float64[np.ndarray, " groups"],
) -> Float64[np.ndarray, " leave"]:
    """Average the inner product over pairs of rows of different groups.

    Args:
        first: sum of the rows of each group in one condition.
        first_counts: rows of each group in that condition.
        second: sum of the rows of each group in the other condition.
        second_counts: rows of each group in the other condition.

    Returns:
        The mean over all pairs, then without each group; NaN where no pair is left.
    """

    def leave(parts: np.ndarray) -> np.ndarray:
        return np.asarray(np.concatenate([parts.sum(axis=0)[None], parts.sum(axis=0) - parts]))

    products = np.einsum("gd,gd->g", first, second)
    above = np.einsum("gd,gd->g", leave(first), leave(second)) - leave(products)
    pairs = leave(first_counts) * leave(second_counts) - leave(first_counts * second_counts)
    return np.asarray(np.divide(above, pairs, out=np.full(len(above), np.nan), where=pairs > 0))
