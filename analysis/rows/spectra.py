"""Spectra of a sample's rows, and of the sample without any one of its prompt groups.

The spectra about zero and about the mean come from one tridiagonal form: see `tridiagonal.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float64, Int64

from analysis.rows.freedom import (
    MOST_ROWS,
    FreedomCurves,
    GroupedRows,
    HeldOut,
    choose_ridges,
    exact_curves,
    followed_curves,
    held_out,
)
from analysis.rows.moments import Moments
from analysis.rows.population_spectrum import Population
from analysis.rows.scatter import add_products, inner_products, products_and_sum
from analysis.rows.tridiagonal import Tridiagonal, find_mirror, symmetrize

NUM_AXES = 10
"""Most leading axes that are kept of a spectrum, for subspaces and the energy inside them."""

EXACT_RATIO = 1.5
"""Rows over dimensions up to which groups are taken out in pairs; beyond it less is at stake."""
POINTS = (4, 7, 9, 11)
"""Ridges at which groups kept as matrices are judged: rows are then far more than d."""
WIDE, FEW = 512, 4
"""Width beyond which only so many groups are judged: each takes an inverse of d x d per point."""


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
        self._populations: dict[bool, Population | None] = {}
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

    def population(self, centred: bool) -> Population | None:
        """Return what the rows tell of the population's eigenvalues, with and without each group.

        Args:
            centred: whether about the rows' own mean; else about zero.

        Returns:
            The estimate; None where groups or rows are too few for any.
        """
        if centred not in self._populations:
            curves = self._find_freedom(centred)
            found = None if curves is None else Population.of(curves, self.counts)
            self._populations[centred] = found
        return self._populations[centred]

    def _find_freedom(self, centred: bool) -> FreedomCurves | None:
        left = self.counts.sum() - self.counts - centred
        if self.num_groups < 2 or left.min() < 1:
            return None
        factored = all(scatter.factored for scatter in self._scatters)
        if factored and self.counts.sum() <= min(MOST_ROWS, EXACT_RATIO * self.dimension):
            rows = self._grouped_rows(centred)
            ridges = choose_ridges(rows.eigenvalues, float(left.min()))
            return exact_curves(rows, ridges) if len(ridges) else None
        groups = (None, *range(self.num_groups))
        values = [self.of(centred, group).eigenvalues for group in groups]
        ridges = choose_ridges(values[0], float(left.min()))
        if not len(ridges):
            return None
        points = np.arange(len(ridges)) if factored else np.array(POINTS)
        folds = (
            held_out(self._grouped_rows(centred), ridges)
            if factored
            else self._held_out_matrices(centred, ridges[points])
        )
        degrees = np.array([self.counts.sum() - centred, *left])
        most = self._most_directions(len(values[0]), centred)
        return followed_curves(folds, ridges, points, values, degrees, most)

    def _most_directions(self, rank: int, centred: bool) -> int:
        """Return d, or fewer where more rows show no more directions."""
        return rank if rank < self.counts.sum() - centred else self.dimension

    def _held_out_matrices(self, centred: bool, ridges: Float64[np.ndarray, " points"]) -> HeldOut:
        """Judge groups that are kept as d x d matrices; where d is large only some of them."""
        chosen = range(self.num_groups if self.dimension <= WIDE else min(FEW, self.num_groups))
        energies, squares = np.zeros((len(chosen), len(ridges))), np.zeros(len(chosen))
        for group in chosen:
            left = self.counts.sum() - self.counts[group]
            lower = self._dense(group, left)
            rest = np.tril(lower) + np.tril(lower, -1).T
            mean = self.point + self.mean_shift(group)
            own = self.means[group]
            if centred:
                own = own - mean
            else:
                rest += left * np.outer(mean, mean)
            scatter = self._scatters[group].dense() + self.counts[group] * np.outer(own, own)
            learned = 1 + centred / left
            squares[group] = np.trace(scatter) / learned
            for number, ridge in enumerate(ridges):
                inverse = np.linalg.inv(rest + ridge * np.eye(self.dimension))
                energies[group, number] = float(np.vdot(scatter, inverse)) / learned
        return HeldOut(energies=energies, squares=squares, groups=np.arange(len(chosen)))

    def _grouped_rows(self, centred: bool) -> GroupedRows:
        """Return the rows of all groups through the eigenvectors of their scatter."""
        means = self.group_means(centred) * np.sqrt(self.counts)[:, None]
        parts = [
            part
            for scatter, mean in zip(self._scatters, means, strict=True)
            for part in (scatter.values, mean[None])
        ]
        rows = np.concatenate(parts)
        sizes = [len(scatter.values) + 1 for scatter in self._scatters]
        if len(rows) <= self.dimension:
            values, vectors = np.linalg.eigh(rows @ rows.T)
            rotated = vectors * np.sqrt(np.maximum(values, 0.0))
        else:
            values, vectors = np.linalg.eigh(rows.T @ rows)
            rotated = rows @ vectors
        kept = values > max(values.max(), 0.0) * max(rows.shape) * np.finfo(np.float64).eps
        return GroupedRows(
            rotated=rotated[:, kept],
            eigenvalues=values[kept],
            owners=np.repeat(np.arange(self.num_groups), sizes),
            counts=self.counts,
            squares=self.traces(centred),
            centred=centred,
            dimension=self._most_directions(int(kept.sum()), centred),
        )

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

    def forms(
        self, centred: bool, vectors: Float64[np.ndarray, "d m"]
    ) -> Float64[np.ndarray, "groups m m"]:
        """Return v^T M_g w of all pairs of vectors, M_g about the mean of all rows or zero."""
        along = self.group_means(centred) @ vectors
        own = np.stack([scatter.form(vectors) for scatter in self._scatters])
        return np.asarray(own + self.counts[:, None, None] * along[:, :, None] * along[:, None, :])

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
