"""Sums of outer products of rows, kept as the rows while these are fewer than d, else as d x d."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

COLUMNS = 512
"""Columns of all matrices that are formed at a time: 0.3 GB for 20 matrices 4,096 wide."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Scatter:
    """A positive semidefinite matrix M = F^T F, in the smaller of its two forms."""

    values: Float64[np.ndarray, "k d"]
    """F itself when `factored`, else M (then k = d)."""
    factored: bool
    """Whether `values` is the factor F."""

    @classmethod
    def of_rows(cls, rows: Float64[np.ndarray, "k d"]) -> Scatter:
        """Make the scatter of rows about zero; rows stay rows while k <= d."""
        if rows.shape[0] <= rows.shape[1]:
            return cls(values=np.ascontiguousarray(rows), factored=True)
        return cls(values=rows.T @ rows, factored=False)

    @property
    def dimension(self) -> int:
        """d, the width of a row."""
        return int(self.values.shape[1])

    def dense(self) -> Float64[np.ndarray, "d d"]:
        """Return M."""
        return self.values.T @ self.values if self.factored else self.values

    def trace(self) -> float:
        """Return the trace of M: the squared norm of all rows together."""
        if self.factored:
            return float(np.vdot(self.values, self.values))
        return float(np.trace(self.values))

    def energy(self, axes: Float64[np.ndarray, "d m"]) -> Float64[np.ndarray, " m"]:
        """Return v^T M v for every column v of `axes`."""
        image = self.values @ axes
        other = image if self.factored else axes
        return np.asarray(np.einsum("ij,ij->j", image, other))

    def form(self, vectors: Float64[np.ndarray, "d m"]) -> Float64[np.ndarray, "m m"]:
        """Return v^T M w for all pairs of columns of `vectors`."""
        image = self.values @ vectors
        return np.asarray((image if self.factored else vectors).T @ image)

    def inner(self, other: Scatter) -> float:
        """Return tr(M M'), without forming M where a factor is at hand."""
        if self.factored and other.factored:
            overlap = self.values @ other.values.T
            return float(np.vdot(overlap, overlap))
        if self.factored:
            return float(np.vdot(self.values @ other.values, self.values))
        if other.factored:
            return other.inner(self)
        return float(np.vdot(self.values, other.values))


class ScatterSum:
    """A sum of scatters and of outer products of rows; rows stay rows while they are few."""

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension
        self._rows: list[Float64[np.ndarray, "k d"]] = []
        self._num_rows = 0
        self._dense: Float64[np.ndarray, "d d"] | None = None  # its lower half, Fortran's order

    def add(self, scatter: Scatter) -> None:
        """Add a scatter."""
        if scatter.factored:
            self.add_rows(scatter.values)
        elif self._dense is None:
            self._dense = np.array(scatter.values, order="F")
        else:
            self._dense += scatter.values.T  # the same numbers, read in the order they lie in

    def add_rows(self, rows: Float64[np.ndarray, "k d"]) -> None:
        """Add the outer products of rows: many at a time, once they are more than d."""
        self._rows.append(rows)
        self._num_rows += len(rows)
        if self._num_rows > self._dimension:
            self._multiply()

    def result(self) -> Scatter:
        """Return the sum in the smaller of its two forms."""
        if self._dense is None:
            rows = [np.zeros((0, self._dimension)), *self._rows]
            return Scatter(values=np.concatenate(rows), factored=True)
        self._multiply()
        half = np.tril(self._dense)
        return Scatter(values=half + np.tril(half, -1).T, factored=False)

    def _multiply(self) -> None:
        if self._dense is None:
            self._dense = np.zeros((self._dimension, self._dimension), order="F")
        if self._rows:
            self._dense = add_products(self._dense, np.concatenate(self._rows), 1.0)
        self._rows, self._num_rows = [], 0


def add_products(
    matrix: Float64[np.ndarray, "d d"], rows: Float64[np.ndarray, "k d"], sign: float
) -> Float64[np.ndarray, "d d"]:
    """Add the outer products of rows to the lower half of a matrix, in place.

    Args:
        matrix: in Fortran's order; it is overwritten.
        rows: the rows.
        sign: 1 to add, -1 to subtract.

    Returns:
        `matrix` + `sign` rows^T rows; the upper half is left as it was.
    """
    from scipy.linalg.blas import dsyrk

    if len(rows) == 0:
        return matrix
    wide = np.ascontiguousarray(rows, dtype=np.float64)
    return np.asarray(dsyrk(sign, wide.T, beta=1.0, c=matrix, lower=1, overwrite_c=1))


def inner_products(scatters: Sequence[Scatter]) -> Float64[np.ndarray, "groups groups"]:
    """Return tr(M_g M_h) for all pairs of scatters."""
    products = np.zeros((len(scatters), len(scatters)))
    for i, first in enumerate(scatters):
        for j in range(i, len(scatters)):
            products[i, j] = products[j, i] = first.inner(scatters[j])
    return products


def products_and_sum(
    scatters: Sequence[Scatter],
) -> tuple[Float64[np.ndarray, "groups groups"], Float64[np.ndarray, "d d"]]:
    """Return tr(M_g M_h) for all pairs, and the sum of all M_g: its lower half, Fortran's order.

    Of factors a few columns of all matrices are formed at a time, from the diagonal down: N d^2
    products for both, where pairs of factors alone would take N^2 d.
    """
    count, dimension = len(scatters), scatters[0].dimension
    whole = np.zeros((dimension, dimension), order="F")
    if not all(scatter.factored for scatter in scatters):
        for scatter in scatters:
            whole += scatter.dense().T
        return inner_products(scatters), whole
    products = np.zeros((count, count))
    for start in range(0, dimension, COLUMNS):
        stop = min(start + COLUMNS, dimension)
        for rows, weight in ((slice(start, stop), 1.0), (slice(stop, dimension), 2.0)):
            part = np.stack([s.values[:, rows].T @ s.values[:, start:stop] for s in scatters])
            whole[rows, start:stop] = part.sum(axis=0)
            flat = part.reshape(count, -1)
            products += weight * (flat @ flat.T)
    return products, whole
