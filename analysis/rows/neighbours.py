"""Nearest neighbours of rows: which of them are one row, and how far apart the others are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

DUPLICATE = 1e-6
"""Rows nearer than this share of the rows' spread are one row: fp32 cannot tell them apart."""
MOST_ENTRIES = 2**24
"""Distances held at a time: 128 MiB."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Neighbours:
    """The nearest rows of every row, the nearest first, and never itself."""

    logarithms: Float64[np.ndarray, "rows kept"]
    """Logarithm of the distance to each."""
    numbers: Int64[np.ndarray, "rows kept"]
    """Which row each of them is."""

    @classmethod
    def of(cls, rows: Float64[np.ndarray, "rows d"], kept: int) -> Neighbours:
        """Find so many nearest neighbours of every row.

        Args:
            rows: different rows, about their mean.
            kept: neighbours of each, fewer than there are rows.
        """
        logarithms = np.zeros((len(rows), kept))
        numbers = np.zeros((len(rows), kept), dtype=np.int64)
        for start, squares in _distances_by_part(rows):
            at = np.arange(len(squares))
            squares[at, start + at] = np.inf
            near = np.argpartition(squares, kept - 1, axis=1)[:, :kept]
            found = np.take_along_axis(squares, near, axis=1)
            order = np.argsort(found, axis=1, kind="stable")
            numbers[start + at] = np.take_along_axis(near, order, axis=1)
            logarithms[start + at] = 0.5 * np.log(np.take_along_axis(found, order, axis=1))
        return cls(logarithms=logarithms, numbers=numbers)

    def without(
        self, gone: Bool[np.ndarray, " rows"], kept: int
    ) -> Float64[np.ndarray, "left kept"] | None:
        """Return the logarithms of the distances among the rows that are left, found anew.

        Args:
            gone: which rows are left out.
            kept: nearest neighbours of each row that is left.

        Returns:
            None where a row that is left has not so many neighbours left of those that are known.
        """
        left = ~gone[self.numbers[~gone]]
        if not len(left) or left.sum(axis=1).min() < kept:
            return None
        first = np.argsort(~left, axis=1, kind="stable")[:, :kept]
        return np.take_along_axis(self.logarithms[~gone], first, axis=1)


def find_distinct(rows: Float64[np.ndarray, "n d"]) -> Bool[np.ndarray, " n"]:
    """Tell which rows to keep: of rows that are one, the first.

    Args:
        rows: rows about their mean.
    """
    nearest = DUPLICATE**2 * np.square(rows).sum() / len(rows)
    later = np.zeros(len(rows), dtype=bool)
    for start, squares in _distances_by_part(rows):
        before = np.arange(len(rows)) < start + np.arange(len(squares))[:, None]
        later[start : start + len(squares)] = ((squares <= nearest) & before).any(axis=1)
    return ~later


def _distances_by_part(
    rows: Float64[np.ndarray, "n d"],
) -> Iterator[tuple[int, Float64[np.ndarray, "m n"]]]:
    """Yield squared distances of some rows to all, and the number of the first of them.

    From products of centred rows in fp64 distances are exact to 1e-16 of the squared spread: far
    below DUPLICATE squared.
    """
    norms = np.square(rows).sum(axis=1)
    step = max(1, MOST_ENTRIES // len(rows))
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        squares = norms[part, None] + norms[None, :] - 2 * rows[part] @ rows.T
        yield start, np.maximum(squares, 0.0)
