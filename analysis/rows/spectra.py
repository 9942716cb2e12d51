"""Spectra of a sample's rows, and of the sample without any one of its prompt groups.

The spectra about zero and about the mean come from one tridiagonal form: see `tridiagonal.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float64, Int64

from analysis.rows.moments import Moments
from analysis.rows.scatter import add_products, inner_products, products_and_sum
from analysis.rows.tridiagonal import Tridiagonal, find_mirror, symmetrize

NUM_AXES = 10
"""Most leading axes that are kept of a spectrum, for subspaces and the energy inside them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Spectrum:
    """Eigenvalues of a scatter matrix of rows and its leading axes."""

    eigenvalues: Float64[np.ndarray, " rank"]
    """Eigenvalues above the rounding error of the rows, largest first."""
    axes: Float64[np.ndarray, "d k"]
    """Orthonormal eigenvectors of the first min(NUM_AXES, rank) eigenvalues."""


class Spectra:
    """Spectra of one sample, each computed once, when first used."""

    def __init__(
        self, groups: Sequence[Moments], rounding: Float64[np.ndarray, " d"] | None = None
    ) -> None:
        """Take the rows of prompt groups.

        Args:
            groups: moments of at least one group, each with rows.
            rounding: mean square of the error of each coordinate of a row, where it is known.
        """
        self._scatters = tuple(group.scatter for group in groups)
        self._left: dict[int | None, dict[bool, Spectrum]] = {}
        self.counts = np.array([float(group.num_rows) for group in groups])
        self.means = np.stack([group.mean for group in groups])
        self.point = np.asarray(self.counts @ self.means / self.counts.sum())
        """Mean of all rows; scatters are kept about it, so that leaving out a group is exact."""
        self.shifts = self.means - self.point
        # The median, because a few massive coordinates have far larger errors than the others.
        self._error = 0.0 if rounding is None else float(np.median(rounding))

    @property
    def dimension(self) -> int:
        """d, the width of a row."""
        return int(self.means.shape[1])

    @property
    def num_groups(self) -> int:
        """Number of groups."""
        return len(self.counts)

    def group_means(self, centred: bool) -> Float64[np.ndarray, "groups d"]:
        """Return the means of the groups about the mean of all rows, or about zero."""
        return self.shifts if centred else self.means

    def traces(self, centred: bool) -> Float64[np.ndarray, " groups"]:
        """Return the squared norm of each group's rows about the mean of all, or about zero."""
        lengths = np.square(self.group_means(centred)).sum(axis=1)
        return np.asarray(self.own_traces + self.counts * lengths)

    def of(self, centred: bool, without: int | None = None) -> Spectrum:
        """Return the spectrum of all rows, or of those outside one group.

        Args:
            centred: whether about the rows' own mean; else about zero.
            without: place of the group to leave out.
        """
        if without not in self._left:
            self._left[without] = self._decompose(without)
        return self._left[without][centred]

    def mean_shift(self, without: int | None) -> Float64[np.ndarray, " d"]:
        """Return the mean of the rows outside one group, minus the mean of all."""
        weights = self.counts.copy()
        if without is not None:
            weights[without] = 0.0
        return np.asarray(weights @ self.shifts / weights.sum())

    @cached_property
    def own_products(self) -> Float64[np.ndarray, "groups groups"]:
        """Products tr(M_g M_h), M_g the scatter of group g about its own mean."""
        return inner_products(self._scatters) if self._few_rows else self._whole[0]

    def products(self, centred: bool) -> Float64[np.ndarray, "groups groups"]:
        """Return tr(M_g M_h), M_g the scatter of group g about the mean of all rows, or zero.

        M_g is the sum of the scatter about the group's own mean and the mean's outer product.
        """
        moved = self.group_means(centred) * np.sqrt(self.counts)[:, None]
        along = np.stack([scatter.energy(moved.T) for scatter in self._scatters])
        return np.asarray(self.own_products + along + along.T + np.square(moved @ moved.T))

    def energies(
        self, centred: bool, axes: Float64[np.ndarray, "d m"]
    ) -> Float64[np.ndarray, "groups m"]:
        """Return the energy of each group along each axis, about the mean of all rows or zero."""
        own = np.stack([scatter.energy(axes) for scatter in self._scatters])
        return np.asarray(own + self.counts[:, None] * np.square(self.group_means(centred) @ axes))

    @cached_property
    def own_traces(self) -> Float64[np.ndarray, " groups"]:
        """Traces tr M_g, M_g the scatter of group g about its own mean."""
        return np.array([scatter.trace() for scatter in self._scatters])

    @cached_property
    def _few_rows(self) -> bool:
        """Whether all rows are fewer than d, so that their Gram matrix is the smaller one."""
        rows = sum(len(scatter.values) + 1 for scatter in self._scatters)
        return all(s.factored for s in self._scatters) and rows <= self.dimension

    def _decompose(self, without: int | None) -> dict[bool, Spectrum]:
        num_left = self.counts.sum() - (0.0 if without is None else self.counts[without])
        if num_left == 0:
            none = Spectrum(eigenvalues=np.zeros(0), axes=np.zeros((self.dimension, 0)))
            return {False: none, True: none}
        mean = self.point + self.mean_shift(without)
        if self._few_rows:
            return self._from_gram(without, mean, num_left)
        form = Tridiagonal.of(self._dense(without, num_left), mean * num_left**0.5)
        spectra = {}
        for centred in (False, True):
            values = self._above_errors(form.eigenvalues(not centred), num_left)
            axes = form.axes(not centred, min(NUM_AXES, len(values)))
            spectra[centred] = Spectrum(eigenvalues=values, axes=axes)
        return spectra

    def _above_errors(
        self, values: Float64[np.ndarray, " k"], num_rows: float
    ) -> Float64[np.ndarray, " rank"]:
        """Keep eigenvalues above the largest of errors alone (Marchenko and Pastur 1967)."""
        edge = self._error * (num_rows**0.5 + self.dimension**0.5) ** 2
        return values[: max(int((values > edge).sum()), 1)]

    @cached_property
    def _whole(self) -> tuple[Float64[np.ndarray, "groups groups"], Float64[np.ndarray, "d d"]]:
        """Products of the groups' own scatters, and the scatter of all rows about their mean."""
        products, lower = products_and_sum(self._scatters)
        return products, add_products(lower, self.shifts * np.sqrt(self.counts)[:, None], 1.0)

    def _dense(self, without: int | None, num_left: float) -> Float64[np.ndarray, "d d"]:
        """Return the lower half of the scatter of the rows left, about their own mean."""
        rest = self._whole[1].copy(order="F")
        if without is None:
            return rest
        scatter = self._scatters[without]
        if scatter.factored:
            rest = add_products(rest, scatter.values, -1.0)
        else:
            rest -= scatter.values.T  # symmetric: read in the order that `rest` lies in
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
        """Rows of all factors, their Gram matrix, each row's group, and if it carries a mean."""
        lengths = [len(scatter.values) for scatter in self._scatters]
        numbers = np.arange(self.num_groups)
        carried = self.shifts * np.sqrt(self.counts)[:, None]
        rows = np.concatenate([*(scatter.values for scatter in self._scatters), carried])
        owners = np.concatenate([np.repeat(numbers, lengths), numbers])
        return rows, rows @ rows.T, owners, np.arange(len(rows)) >= sum(lengths)

    def _from_gram(
        self, without: int | None, mean: Float64[np.ndarray, " d"], num_left: float
    ) -> dict[bool, Spectrum]:
        """Return both spectra, uncentred and centred, from the Gram matrix of the rows left.

        In a basis of the row space whose first vector is u = sqrt(n_g / n) on the rows that carry
        group means, the first row is sqrt(n) times the mean: without it the rows are centred.
        """
        rows, gram, owners, carries_mean = self._stacked
        kept = owners != (-1 if without is None else without)
        rows, gram = rows[kept], gram[np.ix_(kept, kept)]
        unit = np.where(carries_mean[kept], np.sqrt(self.counts[owners[kept]] / num_left), 0.0)
        mirror = find_mirror(unit)

        def reflect(columns: np.ndarray) -> np.ndarray:
            return np.asarray(columns - np.multiply.outer(mirror, mirror @ columns))

        length = num_left**0.5
        turned = reflect(reflect(gram).T)
        turned[0, :] = turned[:, 0] = reflect(rows @ (length * mean))
        turned[0, 0] = num_left * (mean @ mean)
        whole = Tridiagonal.of(symmetrize(turned), None)

        def lift(inside: np.ndarray, values: np.ndarray) -> np.ndarray:
            """Turn eigenvectors u of A A^T into those of A^T A: A^T u / sqrt(lambda)."""
            others = inside.copy()
            others[0] = 0.0
            image = rows.T @ reflect(others) + np.outer(length * mean, inside[0])
            return np.asarray(image / np.sqrt(values))

        spectra = {}
        for centred in (False, True):
            part = whole.without_first() if centred else whole
            values = self._above_errors(part.eigenvalues(False), num_left)
            axes = part.axes(False, min(NUM_AXES, len(values)))
            spectra[centred] = Spectrum(
                eigenvalues=values, axes=lift(axes, values[: axes.shape[1]])
            )
        return spectra
