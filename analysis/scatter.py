"""A sum of outer products of rows, kept as the rows while they are fewer than d, else as d x d."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

COLUMNS = 512
"""Columns formed at a time: of 20 matrices 4,096 wide, 0.3 GB."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Scatter:
    """A positive semidefinite matrix M = F^T F, in the smaller of its two forms."""

    values: Float64[np.ndarray, "k d"]
    """F itself when `factored`, else M (then k = d)."""
    factored: bool
    """Whether `values` is the factor F."""

    @classmethod
    def of_rows(cls, rows: Float64[np.ndarray, "k d"]) -> Scatter:
        """The scatter of rows about zero: rows stay rows while k <= d."""
        if rows.shape[0] <= rows.shape[1]:
            return cls(values=np.ascontiguousarray(rows), factored=True)
        return cls(values=rows.T @ rows, factored=False)

    @property
    def dimension(self) -> int:
        """d, the width of a row."""
        return int(self.values.shape[1])

    def plus(self, other: Scatter, row: Float64[np.ndarray, " d"] | None = None) -> Scatter:
        """This scatter, another one, and the outer product of one more row."""
        extra = np.zeros((0, self.dimension)) if row is None else row[None, :]
        if self.factored and other.factored:
            return Scatter.of_rows(np.concatenate([self.values, other.values, extra]))
        return Scatter(values=self.dense() + other.dense() + extra.T @ extra, factored=False)

    def about(self, num_rows: int, shift: Float64[np.ndarray, " d"]) -> Scatter:
        """Scatter about a point that lies `shift` away from the mean of the `num_rows` rows."""
        row = np.sqrt(num_rows) * shift[None, :]
        if self.factored:
            return Scatter(values=np.concatenate([self.values, row]), factored=True)
        return Scatter(values=self.values + row.T @ row, factored=False)

    def dense(self) -> Float64[np.ndarray, "d d"]:
        """M, d x d."""
        return self.values.T @ self.values if self.factored else self.values

    def trace(self) -> float:
        """Sum of the diagonal of M: the squared norm of all rows together."""
        if self.factored:
            return float(np.vdot(self.values, self.values))
        return float(np.trace(self.values))

    def energy(self, axes: Float64[np.ndarray, "d m"]) -> Float64[np.ndarray, " m"]:
        """v^T M v for every column v of `axes`."""
        image = self.values @ axes
        other = image if self.factored else axes
        return np.asarray(np.einsum("ij,ij->j", image, other))

    def inner(self, other: Scatter) -> float:
        """tr(M M'), without forming M where a factor is at hand."""
        if self.factored and other.factored:
            overlap = self.values @ other.values.T
            return float(np.vdot(overlap, overlap))
        if self.factored:
            return float(np.vdot(self.values @ other.values, self.values))
        if other.factored:
            return other.inner(self)
        return float(np.vdot(self.values, other.values))


def inner_products(scatters: Sequence[Scatter]) -> Float64[np.ndarray, "groups groups"]:
    """tr(M_g M_h) for all pairs of scatters."""
    num_rows = sum(len(scatter.values) for scatter in scatters)
    if all(scatter.factored for scatter in scatters) and num_rows > scatters[0].dimension:
        return _by_columns(scatters)
    products = np.zeros((len(scatters), len(scatters)))
    for i, first in enumerate(scatters):
        for j in range(i, len(scatters)):
            products[i, j] = products[j, i] = first.inner(scatters[j])
    return products


def _by_columns(scatters: Sequence[Scatter]) -> Float64[np.ndarray, "groups groups"]:
    """The same from a few columns of all matrices at a time: N d^2 products instead of N^2 d.

    Of a symmetric matrix the columns of a block are needed from the diagonal down.
    """
    count, dimension = len(scatters), scatters[0].dimension
    products = np.zeros((count, count))
    for start in range(0, dimension, COLUMNS):
        stop = min(start + COLUMNS, dimension)
        square, below = (
            np.stack([(s.values[:, rows].T @ s.values[:, start:stop]).ravel() for s in scatters])
            for rows in (slice(start, stop), slice(stop, dimension))
        )
        products += square @ square.T + 2 * (below @ below.T)
    return products
