"""Spectra of a sample's rows, and of the sample without any one of its prompt groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np
from jaxtyping import Bool, Float64, Int64

from analysis.moments import Moments
from analysis.scatter import Scatter


@dataclass(frozen=True, kw_only=True, eq=False)
class Spectra:
    """The scatter of every group about one common point, so that leaving one out is a subtraction.

    Centred, the point is the mean of all rows: shifts stay small and nothing cancels.
    """

    counts: Float64[np.ndarray, " groups"]
    """Rows of each group."""
    shifts: Float64[np.ndarray, "groups d"]
    """Mean of each group minus the point."""
    scatters: tuple[Scatter, ...]
    """Scatter of each group about the point."""
    centred: bool
    """Whether spectra are about the mean of the rows they are of, or about zero."""

    @classmethod
    def of(cls, groups: Sequence[Moments], centred: bool) -> Spectra:
        """Spectra of the rows in `groups` (at least one)."""
        point = reduce(Moments.merge, groups).mean if centred else np.zeros_like(groups[0].mean)
        return cls(
            counts=np.array([float(group.num_rows) for group in groups]),
            shifts=np.stack([group.mean - point for group in groups]),
            scatters=tuple(group.about(point) for group in groups),
            centred=centred,
        )

    def eigenvalues(self, without: int | None = None) -> Float64[np.ndarray, " rank"]:
        """Eigenvalues of the scatter matrix that are not zero, largest first.

        Args:
            without: number of the group to leave out.
        """
        matrix = self._gram(without)[0] if self._few_rows else self._dense(without)
        values = np.linalg.eigvalsh(matrix)[::-1]
        return np.asarray(values[values > _tolerance(values)])

    def axes(self, most: int, without: int | None = None) -> Float64[np.ndarray, "d k"]:
        """Leading eigenvectors, at most as many as there are eigenvalues that are not zero."""
        from scipy.linalg import eigh

        matrix, rows = self._gram(without) if self._few_rows else (self._dense(without), None)
        size = len(matrix)
        if size == 0:
            return np.zeros((self.shifts.shape[1], 0))
        wanted = [max(0, size - most), size - 1]
        values, vectors = eigh(matrix, subset_by_index=wanted, check_finite=False)
        keep = values > _tolerance(values)
        values, vectors = values[keep][::-1], vectors[:, keep][:, ::-1]
        # Eigenvectors u of the Gram matrix A A^T give those of A^T A as A^T u / sqrt(lambda).
        return np.asarray(vectors if rows is None else rows.T @ (vectors / np.sqrt(values)))

    def energies(self, axes: Float64[np.ndarray, "d m"]) -> Float64[np.ndarray, "groups m"]:
        """Scatter of each group about the common point along each axis."""
        return np.stack([scatter.energy(axes) for scatter in self.scatters])

    def mean_shift(self, without: int) -> Float64[np.ndarray, " d"]:
        """Mean of the rows outside one group, minus the point."""
        weights = self.counts.copy()
        weights[without] = 0.0
        return np.asarray(weights @ self.shifts / weights.sum())

    @cached_property
    def _few_rows(self) -> bool:
        """Whether the rows of all groups together are fewer than d: then their Gram is smaller."""
        rows = sum(len(scatter.values) for scatter in self.scatters)
        return all(s.factored for s in self.scatters) and rows <= self.shifts.shape[1]

    @cached_property
    def _all_dense(self) -> Float64[np.ndarray, "d d"]:
        return np.asarray(sum(scatter.dense() for scatter in self.scatters))

    def _dense(self, without: int | None) -> Float64[np.ndarray, "d d"]:
        if without is None:
            return np.asarray(self._all_dense)
        rest = self._all_dense - self.scatters[without].dense()
        if self.centred:
            shift = self.mean_shift(without)
            rest -= (self.counts.sum() - self.counts[without]) * np.outer(shift, shift)
        return np.asarray(rest)

    @cached_property
    def _stacked(
        self,
    ) -> tuple[
        Float64[np.ndarray, "k d"],
        Float64[np.ndarray, "k k"],
        Int64[np.ndarray, " k"],
        Bool[np.ndarray, " k"],
    ]:
        """Rows of all factors, their Gram matrix, the group of each, and which carry a mean."""
        lengths = [len(scatter.values) for scatter in self.scatters]
        rows = np.concatenate([scatter.values for scatter in self.scatters])
        owners = np.repeat(np.arange(len(lengths)), lengths)
        carries_mean = np.zeros(len(rows), dtype=bool)
        carries_mean[np.cumsum(lengths) - 1] = True  # `Scatter.about` puts that row last
        return rows, rows @ rows.T, owners, carries_mean

    def _gram(
        self, without: int | None
    ) -> tuple[Float64[np.ndarray, "k k"], Float64[np.ndarray, "k d"]]:
        """Gram matrix of the rows left, about their own mean if centred, and those rows."""
        rows, gram, owners, carries_mean = self._stacked
        if without is None:
            return gram, rows
        kept = owners != without
        gram = gram[np.ix_(kept, kept)]
        if self.centred:
            # Moving the point to the mean of what is left projects the rows that carry group
            # means, sqrt(n_g) (mean_g - point), off the unit vector sqrt(n_g / n).
            unit = np.where(carries_mean, np.sqrt(self.counts[owners]), 0.0)[kept]
            unit /= np.linalg.norm(unit) if unit.any() else 1.0
            along = gram @ unit
            gram = gram - np.outer(unit, along) - np.outer(along, unit)
            gram += (along @ unit) * np.outer(unit, unit)
        return gram, rows[kept]


def _tolerance(values: Float64[np.ndarray, " k"]) -> float:
    """Below this an eigenvalue is rounding error (the rule of numpy's matrix_rank)."""
    if len(values) == 0:
        return 0.0
    return float(max(values.max(), 0.0) * len(values) * np.finfo(np.float64).eps)
