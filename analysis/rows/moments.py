"""Moments: count, mean and scatter of rows in fp64; merging parts gives what all rows give."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from analysis.rows.scatter import Scatter, ScatterSum


@dataclass(frozen=True, kw_only=True, eq=False)
class Moments:
    """Count, mean and centred scatter of rows at one site, layer, position policy and group."""

    num_rows: int
    """Number of rows."""
    mean: Float64[np.ndarray, " d"]
    """Mean of the rows; zeros when there are none."""
    scatter: Scatter
    """Sum of (x - mean)(x - mean)^T; the centred rows instead while they are fewer than d."""

    @classmethod
    def empty(cls, dimension: int) -> Moments:
        """Return the moments of no rows."""
        rows = np.zeros((0, dimension))
        return cls(num_rows=0, mean=np.zeros(dimension), scatter=Scatter.of_rows(rows))

    @classmethod
    def from_rows(cls, rows: Float[np.ndarray, "rows d"]) -> Moments:
        """Return the moments of one batch, about its own mean.

        Rows are promoted before they are centred: a mean subtracted in fp32 would leave a rounding
        of 1e-7 that depends on how the rows were cut into batches.
        """
        if len(rows) == 0:
            return cls.empty(rows.shape[1])
        exact = rows.astype(np.float64)
        mean = exact.mean(axis=0)
        centred = exact - mean if len(rows) > 1 else exact[:0]
        return cls(num_rows=len(rows), mean=mean, scatter=Scatter.of_rows(centred))

    @classmethod
    def from_scatter(
        cls, num_rows: int, mean: Float64[np.ndarray, " d"], m2: Float64[np.ndarray, "d d"]
    ) -> Moments:
        """Make moments of a count, a mean and a centred scatter matrix computed elsewhere."""
        scatter = Scatter(values=np.asarray(m2, dtype=np.float64), factored=False)
        return cls(num_rows=num_rows, mean=np.asarray(mean, dtype=np.float64), scatter=scatter)

    def merge(self, other: Moments) -> Moments:
        """Moments of both sets of rows."""
        return Moments.merge_all([self, other])

    @classmethod
    def merge_all(cls, parts: Iterable[Moments]) -> Moments:
        """Merge the moments of sets of rows (at least one), one after the other.

        Chan, Golub and LeVeque 1983, eq. 2.1. Many at once cost far less than one by one: products
        are formed of thousands of rows at a time and the sum grows in place.
        """
        num_rows, mean, total = 0, None, None
        for part in parts:
            if total is None or mean is None:
                mean, total = np.zeros_like(part.mean), ScatterSum(len(part.mean))
            if part.num_rows == 0:
                continue
            shift = part.mean - mean
            share = part.num_rows / (num_rows + part.num_rows)
            total.add(part.scatter)
            if num_rows:
                total.add_rows(np.sqrt(num_rows * share) * shift[None, :])
            mean = mean + shift * share
            num_rows += part.num_rows
        assert mean is not None and total is not None, "there is nothing to merge"
        return cls(num_rows=num_rows, mean=mean, scatter=total.result())

    def covariance(self, centred: bool) -> Float64[np.ndarray, "d d"]:
        """Return the covariance, or the second moment about zero.

        Args:
            centred: True for M2 / (n - 1), False for M2 / n + mean mean^T.

        Raises:
            ValueError: fewer than two rows (centred) or none (uncentred).
        """
        if self.num_rows < 1 + centred:
            raise ValueError(f"a covariance needs {1 + centred} rows, there are {self.num_rows}")
        if centred:
            return self.scatter.dense() / (self.num_rows - 1)
        return self.scatter.dense() / self.num_rows + np.outer(self.mean, self.mean)

    def to_arrays(self, prefix: str = "") -> dict[str, np.ndarray]:
        """Return arrays for a safetensors file; `counts` holds the row count and the form."""
        counts = np.array([self.num_rows, self.scatter.factored], dtype=np.int64)
        arrays = {"counts": counts, "mean": self.mean, "scatter": self.scatter.values}
        return {f"{prefix}{name}": array for name, array in arrays.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], prefix: str = "") -> Moments:
        """Read what `to_arrays` returned."""
        num_rows, factored = (int(count) for count in arrays[f"{prefix}counts"])
        scatter = Scatter(values=arrays[f"{prefix}scatter"], factored=bool(factored))
        return cls(num_rows=num_rows, mean=arrays[f"{prefix}mean"], scatter=scatter)
