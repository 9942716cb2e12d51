"""Spectra of a sample's rows, and of the sample without any one of its prompt groups.

One tridiagonal form per set of rows answers for both centrings: see `tridiagonal.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float64, Int64

from analysis.rows.moments import Moments
from analysis.rows.scatter import Scatter, add_products, inner_products, products_and_sum
from analysis.rows.tridiagonal import Tridiagonal, symmetric

NUM_AXES = 10
"""Leading axes that are kept of every spectrum, for subspaces and the energy inside them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Spectrum:
    """Eigenvalues of a scatter matrix of rows and its leading axes."""

    eigenvalues: Float64[np.ndarray, " rank"]
    """Those that are not zero nor rounding of the rows, largest first."""
    axes: Float64[np.ndarray, "d k"]
    """Orthonormal eigenvectors of the first min(NUM_AXES, rank) of them."""


class Spectra:
    """All that spectral metrics share of one sample; every part is computed once, when asked."""

    def __init__(
        self, groups: Sequence[Moments], rounding: Float64[np.ndarray, " d"] | None = None
    ) -> None:
        """Spectra of the rows in `groups`: at least one, each with rows.

        Args:
            groups: the rows.
            rounding: mean square of the error of each coordinate of a row, where it is known.
        """
        self._scatters = tuple(group.scatter for group in groups)
        self._left: dict[int | None, dict[bool, Spectrum]] = {}
        self.counts = np.array([float(group.num_rows) for group in groups])
        self.means = np.stack([group.mean for group in groups])
        self.point = np.asarray(self.counts @ self.means / self.counts.sum())
        """Mean of all rows: about it nothing cancels when a group is left out."""
        self.shifts = self.means - self.point
        # Its median: the error of a few massive coordinates is not that of the others.
        self._error = 0.0 if rounding is None else float(np.median(rounding))

    @property
    def dimension(self) -> int:
        """d, the width of a row."""
        return int(self.means.shape[1])

    @property
    def num_groups(self) -> int:
        """Groups that hold rows."""
        return len(self.counts)

    def moved(self, centred: bool) -> Float64[np.ndarray, "groups d"]:
        """Means of the groups about the mean of all rows, or about zero."""
        return self.shifts if centred else self.means

    def traces(self, centred: bool) -> Float64[np.ndarray, " groups"]:
        """Squared norm of each group's rows about the mean of all rows, or about zero."""
        lengths = np.square(self.moved(centred)).sum(axis=1)
        return np.asarray(self.own_traces + self.counts * lengths)

    def of(self, centred: bool, without: int | None = None) -> Spectrum:
        """The spectrum of all rows, or of those outside one group, about their own mean or zero."""
        if without not in self._left:
            self._left[without] = self._decomposed(without)
        return self._left[without][centred]

    def mean_shift(self, without: int | None) -> Float64[np.ndarray, " d"]:
        """Mean of the rows outside one group, minus the mean of all."""
        weights = self.counts.copy()
        if without is not None:
            weights[without] = 0.0
        return np.asarray(weights @ self.shifts / weights.sum())

    @cached_property
    def own_products(self) -> Float64[np.ndarray, "groups groups"]:
        """tr(M_g M_h), M_g the scatter of group g about its own mean."""
        return inner_products(self._scatters) if self._few_rows else self._whole[0]

    def products(self, centred: bool) -> Float64[np.ndarray, "groups groups"]:
        """tr(M_g M_h), M_g the scatter of group g about the mean of all rows, or about zero.

        M_g is the scatter about the group's own mean and the outer product of the moved mean.
        """
        moved = self.moved(centred) * np.sqrt(self.counts)[:, None]
        along = np.stack([scatter.energy(moved.T) for scatter in self._scatters])
        return np.asarray(self.own_products + along + along.T + np.square(moved @ moved.T))

    def energies(
        self, centred: bool, axes: Float64[np.ndarray, "d m"]
    ) -> Float64[np.ndarray, "groups m"]:
        """Scatter of each group about the mean of all rows, or about zero, along each axis."""
        own = np.stack([scatter.energy(axes) for scatter in self._scatters])
        return np.asarray(own + self.counts[:, None] * np.square(self.moved(centred) @ axes))

    @cached_property
    def own_traces(self) -> Float64[np.ndarray, " groups"]:
        """Tr M_g, M_g the scatter of group g about its own mean."""
        return np.array([scatter.trace() for scatter in self._scatters])

    @cached_property
    def _few_rows(self) -> bool:
        """Whether the rows of all groups together are fewer than d: then their Gram is smaller."""
        rows = sum(len(scatter.values) + 1 for scatter in self._scatters)
        return all(s.factored for s in self._scatters) and rows <= self.dimension

    def _decomposed(self, without: int | None) -> dict[bool, Spectrum]:
        num_left = self.counts.sum() - (0.0 if without is None else self.counts[without])
        if num_left == 0:
            none = Spectrum(eigenvalues=np.zeros(0), axes=np.zeros((self.dimension, 0)))
            return {False: none, True: none}
        mean = self.point + self.mean_shift(without)
        if self._few_rows:
            return self._from_gram(without, mean, num_left)
        form = Tridiagonal.of(self._dense(without, num_left), mean * num_left**0.5)
        found = {}
        for centred in (False, True):
            values = self._real(form.eigenvalues(not centred), num_left)
            axes = form.axes(not centred, min(NUM_AXES, len(values)))
            found[centred] = Spectrum(eigenvalues=values, axes=axes)
        return found

    def _real(
        self, values: Float64[np.ndarray, " k"], num_rows: float
    ) -> Float64[np.ndarray, " rank"]:
        """Those above the largest that errors alone would give (Marchenko and Pastur 1967)."""
        edge = self._error * (num_rows**0.5 + self.dimension**0.5) ** 2
        return values[: max(int((values > edge).sum()), 1)]

    @cached_property
    def _whole(self) -> tuple[Float64[np.ndarray, "groups groups"], Float64[np.ndarray, "d d"]]:
        """Products of the groups' own scatters, and the scatter of all rows about their mean."""
        products, lower = products_and_sum(self._scatters)
        return products, add_products(lower, self.shifts * np.sqrt(self.counts)[:, None], 1.0)

    def _dense(self, without: int | None, num_left: float) -> Float64[np.ndarray, "d d"]:
        """Lower half of the scatter of the rows left about their own mean."""
        rest = self._whole[1].copy(order="F")
        if without is None:
            return rest
        rest = _added(rest, self._scatters[without], -1.0)
        shift = np.sqrt(self.counts[without]) * self.shifts[without]
        own = np.sqrt(num_left) * self.mean_shift(without)
        return add_products(rest, np.stack([shift, own]), -1.0)

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
        lengths = [len(scatter.values) for scatter in self._scatters]
        numbers = np.arange(self.num_groups)
        carried = self.shifts * np.sqrt(self.counts)[:, None]
        rows = np.concatenate([*(scatter.values for scatter in self._scatters), carried])
        owners = np.concatenate([np.repeat(numbers, lengths), numbers])
        return rows, rows @ rows.T, owners, np.arange(len(rows)) >= sum(lengths)

    def _from_gram(
        self, without: int | None, mean: Float64[np.ndarray, " d"], num_left: float
    ) -> dict[bool, Spectrum]:
        """Both spectra from the Gram matrix of the rows left.

        In a basis of the row space whose first vector is u = sqrt(n_g / n) on the rows that carry
        group means, the first row is sqrt(n) times the mean: without it the rows are centred.
        """
        rows, gram, owners, carries_mean = self._stacked
        kept = owners != (-1 if without is None else without)
        rows, gram = rows[kept], gram[np.ix_(kept, kept)]
        unit = np.where(carries_mean[kept], np.sqrt(self.counts[owners[kept]] / num_left), 0.0)
        mirror = unit.copy()
        mirror[0] += 1.0 if unit[0] >= 0 else -1.0
        mirror *= np.sqrt(2.0) / np.linalg.norm(mirror)  # H = I - mirror mirror^T

        def reflect(columns: np.ndarray) -> np.ndarray:
            return np.asarray(columns - np.multiply.outer(mirror, mirror @ columns))

        length = num_left**0.5
        turned = reflect(reflect(gram).T)
        turned[0, :] = turned[:, 0] = reflect(rows @ (length * mean))
        turned[0, 0] = num_left * (mean @ mean)
        whole = Tridiagonal.of(symmetric(turned), None)

        def lift(inside: np.ndarray, values: np.ndarray) -> np.ndarray:
            """Eigenvectors u of the Gram matrix A A^T give those of A^T A, A^T u / sqrt(lambda)."""
            others = inside.copy()
            others[0] = 0.0
            image = rows.T @ reflect(others) + np.outer(length * mean, inside[0])
            return np.asarray(image / np.sqrt(values))

        found = {}
        for centred in (False, True):
            part = whole.without_first() if centred else whole
            values = self._real(part.eigenvalues(False), num_left)
            axes = part.axes(False, min(NUM_AXES, len(values)))
            found[centred] = Spectrum(eigenvalues=values, axes=lift(axes, values[: axes.shape[1]]))
        return found


def _added(
    matrix: Float64[np.ndarray, "d d"], scatter: Scatter, sign: float
) -> Float64[np.ndarray, "d d"]:
    """The matrix and a scatter, in place."""
    if scatter.factored:
        return add_products(matrix, scatter.values, sign)
    matrix += sign * scatter.values.T  # symmetric: read in the order that `matrix` lies in
    return matrix
