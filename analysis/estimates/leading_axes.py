"""What the leading axes of a population hold, told by axes that few rows have taught.

Axes learned from N rows mix the population's leading directions with others. How much follows from
the population's eigenvalues (`analysis/rows/population_spectrum.py`) and N, here by drawing rows
of that spectrum. What another condition has in the learned axes is then a known mixture of what it
has in the leading directions and in the others, and is solved for the former.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf
from typing import Literal
from weakref import WeakKeyDictionary

import numpy as np
from jaxtyping import Float64

from analysis.rows.population_spectrum import PopulationSpectrum
from analysis.rows.row_weights import weights
from analysis.rows.spectra import NUM_AXES, Spectra

MOST_RATIO = 4
"""Rows over dimensions up to which as many are drawn, as unequal as they are; of more, as many
normal ones as tell as much: axes are told well then, and draws would cost more than all else."""
NUM_DRAWS = 4
"""Draws of rows that say how learned axes mix the population's."""
BLOCKS = (slice(0, 1), slice(1, 3), slice(3, 6), slice(6, NUM_AXES))
"""Leading directions that the second model lets differ from each other."""
RESOLVED = 0.5
"""Share of the learned axes in the leading directions from which on rows tell these."""
ALIKE = 0.5
"""How far such blocks are expected to differ, in units of what plain itself has there."""
APART = ALIKE * 4.0 ** np.arange(7)
"""How far they may differ where what was seen speaks for it."""
EVIDENCE = 3.0
"""Logarithm of how much likelier than by ALIKE that must be."""
ROUNDING = 1e-12
"""Share that is nothing but rounding: what is beside the leading directions must be more."""
ACCURACY = 0.03
"""Relative error of the energies in learned axes that the second model allows for."""

Beside = Literal["even", "far", "near"]
"""Where what a condition has beside the leading directions lies."""


def direction_shares(spectrum: PopulationSpectrum, dimension: int) -> Float64[np.ndarray, " d"]:
    """Return the share of every single direction, largest first, zeros where there are none."""
    upto = np.cumsum(spectrum.numbers)
    ranks = np.arange(dimension) + 0.5
    places = np.minimum(np.searchsorted(upto, ranks), len(upto) - 1)
    shares = np.where(ranks <= upto[-1], spectrum.shares[places], 0.0)
    return np.asarray(shares / shares.sum())


@dataclass(frozen=True, kw_only=True, eq=False)
class LearnedAxes:
    """How the leading axes that rows teach lie among the directions of their population."""

    shares: Float64[np.ndarray, " d"]
    """Share of the energy of each direction, largest first."""
    overlaps: Float64[np.ndarray, "k d"]
    """Mean squared cosine of each learned axis with each direction."""
    num_leading: int | None = None
    """How many leading directions are meant; None for as many as axes are kept."""

    @classmethod
    def of(
        cls,
        shares: Float64[np.ndarray, " d"],
        num_rows: float,
        num_axes: int,
        shape: float = inf,
    ) -> LearnedAxes:
        """Draw rows of the population and look where their leading axes lie.

        Args:
            shares: of the energy of each direction.
            num_rows: how many rows to draw.
            num_axes: how many axes to learn.
            shape: of the law of the rows' weights; normal rows by default.
        """
        draw = np.random.default_rng(17)
        present = shares[shares > 0]
        rows = max(int(round(num_rows)), num_axes + 2)
        sizes = np.sqrt(weights(shape, rows))[:, None]
        overlaps = np.zeros((num_axes, len(shares)))
        for _ in range(NUM_DRAWS):
            normal = draw.standard_normal((rows, len(present))) * np.sqrt(present)
            axes = _leading_axes(sizes * normal, num_axes)
            overlaps[: axes.shape[1], : len(present)] += np.square(axes).T / NUM_DRAWS
        return cls(shares=shares, overlaps=overlaps)

    @classmethod
    def of_rows(cls, spectra: Spectra, centred: bool) -> LearnedAxes:
        """Draw as many rows as there are, of the population's eigenvalues as the rows tell them."""
        return learned_axes(spectra, centred)[0]

    def first(self, num_leading: int) -> LearnedAxes:
        """Return the first learned axes alone, which stand for as many leading directions."""
        return replace(self, overlaps=self.overlaps[:num_leading], num_leading=num_leading)

    @cached_property
    def lead(self) -> int:
        """Leading directions of the population that are meant."""
        return min(self.num_leading or NUM_AXES, int((self.shares > 0).sum()))

    @property
    def leading(self) -> float:
        """Share of the population's own energy in its leading directions."""
        return float(self.shares[: self.lead].sum())

    @property
    def purity(self) -> float:
        """Share of the learned axes that lies in the leading directions, 0 to 1."""
        return float(self.overlaps[:, : self.lead].sum() / self.lead)

    @property
    def is_told(self) -> bool:
        """Tell whether rows determine the leading directions."""
        return self.purity >= RESOLVED

    def calibrated(self, energies: Float64[np.ndarray, " k"]) -> LearnedAxes:
        """Return the axes with what they and the leading directions hold set by what was seen.

        A small error of the eigenvalues is in both the drawn and the true share: their ratio is
        kept, and the share seen in the learned axes decides.

        Args:
            energies: share of the condition itself along each learned axis, of rows that these
                were not learned from.
        """
        inside = self.overlaps @ self.shares
        if not (inside.sum() > 0 and energies.sum() > 0):
            return self
        leading = min(self.leading * float(energies.sum() / inside.sum()), 1.0)
        shares = self.shares.copy()
        shares[: self.lead] *= leading / self.leading
        rest = shares[self.lead :].sum()
        shares[self.lead :] *= (1 - leading) / rest if rest else 0.0
        overlaps = self.overlaps.copy()
        for block in BLOCKS:
            seen = float((overlaps[block] @ shares).sum())
            overlaps[block] *= float(energies[block].sum()) / seen if seen else 1.0
        return replace(self, shares=shares, overlaps=overlaps)

    def leading_share(
        self, energies: Float64[np.ndarray, " k"], apart: float = ALIKE
    ) -> tuple[float, float]:
        """Return the share of another condition in the leading directions, by two models.

        The first takes what that condition has, over what this one has, for the same in all leading
        directions, and for the same in all others; where the rows hardly tell the leading
        directions, for moving between the two as far as they are told. The second lets blocks of
        leading directions differ. Where the other condition's share falls along the leading
        directions, the first errs high; where what it has beside them is far away, the second low.

        Args:
            energies: share of the other condition along each learned axis.
            apart: how far blocks are expected to differ.
        """
        inside = float(energies.sum())
        first = self._share_of_one_level(inside) if self.is_told else self._share_by_overlap(inside)
        return first, self._share_of_blocks(energies, apart)

    def shares_if_uneven(
        self, energies: Float64[np.ndarray, " k"], apart: float
    ) -> tuple[float, float]:
        """Return that share if what the condition has beside the leading directions is uneven.

        First where it is far away: directions that learned axes mistake for leading ones are then
        as those, not as all others. Then where it is all in the next directions.
        """
        far, near = (self._share_of_blocks(energies, apart, way) for way in ("far", "near"))
        return far, near

    def find_apart(
        self, energies: Float64[np.ndarray, " k"], left_out: Sequence[Float64[np.ndarray, " k"]]
    ) -> float:
        """Return how far blocks are to be expected to differ: ALIKE, or what is far likelier.

        The likelihood of what was seen is that of normal errors and normal differences of blocks.

        Args:
            energies: share of the other condition along each learned axis.
            left_out: the same without each group, which tells the error of what was seen.
        """
        if self._is_pure(energies):
            return ALIKE
        without = np.array([self._by_block(shares) for shares in left_out])
        without = without[np.isfinite(without).all(axis=1)]
        spread = np.sqrt(len(without) - 1) * without.std(axis=0)
        evidence = [self._solve(energies, apart, spread=spread)[1] for apart in APART]
        best = int(np.argmax(evidence))
        return float(APART[best]) if evidence[best] > evidence[0] + EVIDENCE else ALIKE

    def _share_of_one_level(self, inside: float) -> float:
        along = self.overlaps.sum(axis=0) * self.shares
        leading = self.leading
        own, beside = float(along[: self.lead].sum()), float(along[self.lead :].sum())
        if leading >= 1 - ROUNDING:
            return inside
        gain = own - beside * leading / (1 - leading)
        # Learned axes that know nothing of the leading directions: those of any other number.
        if gain < 0.05 * leading:
            return leading
        return float(np.clip(leading * (inside - beside / (1 - leading)) / gain, 0.0, 1.0))

    def _share_by_overlap(self, inside: float) -> float:
        told = self.overlaps.sum(axis=0)
        parts = np.stack([self.shares * (1 - told), self.shares * told])
        matrix = np.stack([parts.sum(axis=1), parts @ told])
        ratios = np.linalg.lstsq(matrix, np.array([1.0, inside]), rcond=1e-3)[0]
        return float(np.clip(ratios @ parts[:, : self.lead].sum(axis=1), 0.0, 1.0))

    @property
    def _blocks(self) -> Sequence[slice]:
        if self.num_leading is None:
            return BLOCKS
        return [slice(b.start, min(b.stop, self.lead)) for b in BLOCKS if b.start < self.lead]

    def _is_pure(self, energies: Float64[np.ndarray, " k"]) -> bool:
        """Tell whether nothing lies beside the leading directions, or too few axes were learned."""
        few = len(energies) < (self.num_leading or NUM_AXES)
        return few or bool(self.shares[self.lead :].sum() <= ROUNDING)

    def _parts_beside(self, beside: Beside) -> Sequence[slice]:
        if beside != "near" or 2 * self.lead >= (self.shares > 0).sum():
            return [slice(self.lead, None)]
        return [slice(self.lead, 2 * self.lead), slice(2 * self.lead, None)]

    def _by_block(self, energies: Float64[np.ndarray, " k"]) -> Float64[np.ndarray, " blocks"]:
        return np.array([energies[block].sum() for block in self._blocks])

    def _share_of_blocks(
        self, energies: Float64[np.ndarray, " k"], apart: float, beside: Beside = "even"
    ) -> float:
        if self._is_pure(energies):
            return float(energies.sum())
        return self._solve(energies, apart, beside)[0]

    def _solve(
        self,
        energies: Float64[np.ndarray, " k"],
        apart: float,
        beside: Beside = "even",
        spread: Float64[np.ndarray, " blocks"] | float = 0.0,
    ) -> tuple[float, float]:
        """Solve for what blocks hold; return their sum, and the logarithm of the likelihood."""
        parts = [*self._blocks, *self._parts_beside(beside)]
        held = np.array([self.shares[part].sum() for part in parts])
        along = self.overlaps * self.shares
        mixed = np.array([[along[own][:, part].sum() for part in parts] for own in self._blocks])
        seen = self._by_block(energies)
        error = np.hypot(ACCURACY * np.maximum(seen, 1e-12), spread)
        num_blocks = len(seen)
        mean = np.zeros(len(parts))
        mean[:num_blocks] = held[:num_blocks] / held[:num_blocks].sum()
        tied = (np.eye(len(parts)) - mean) / apart
        rows, wanted = mixed / error[:, None], seen / error
        if beside != "far":  # the condition's shares add up to 1: what is not tied has the rest
            rows, wanted = np.append(rows, held[None] / 1e-4, axis=0), np.append(wanted, 1e4)
            tied = np.delete(tied, num_blocks, axis=0)
        matrix, wanted = np.append(rows, tied, axis=0), np.append(wanted, np.zeros(len(tied)))
        ratios = np.linalg.lstsq(matrix, wanted, rcond=None)[0]
        share = float(np.clip((ratios * held)[:num_blocks].sum(), 0.0, 1.0))
        # Differences of blocks sum to zero, so that one of them is not free.
        free = len(tied) - 1
        residuals = matrix @ ratios - wanted
        evidence = residuals @ residuals + np.linalg.slogdet(matrix.T @ matrix)[1]
        return share, float(-evidence / 2 - free * np.log(apart))


def _leading_axes(rows: Float64[np.ndarray, "rows d"], num_axes: int) -> Float64[np.ndarray, "d k"]:
    """Return the leading eigenvectors of rows about their mean, as many as there are."""
    from scipy.linalg import eigh

    centred = rows - rows.mean(axis=0)
    wide = centred.shape[0] < centred.shape[1]
    matrix = centred @ centred.T if wide else centred.T @ centred
    size = len(matrix)
    first = max(size - num_axes, 0)
    values, vectors = eigh(matrix, subset_by_index=(first, size - 1))
    kept = values > 1e-12 * values[-1]
    values, vectors = values[kept][::-1], vectors[:, kept][:, ::-1]
    return np.asarray(centred.T @ vectors / np.sqrt(values) if wide else vectors)


Learned = tuple[LearnedAxes, list[LearnedAxes], LearnedAxes]
_LEARNED: WeakKeyDictionary[Spectra, dict[bool, Learned]] = WeakKeyDictionary()
"""Axes that were drawn, of spectra that are still in use: two metrics need the same."""


def learned_axes(spectra: Spectra, centred: bool) -> Learned:
    """Return how axes learned without one group lie, by all rows, without each group, by a rival.

    The rival is another spectrum that fits the same rows.
    """
    known = _LEARNED.setdefault(spectra, {})
    if centred not in known:
        known[centred] = _draw_axes(spectra, centred)
    return known[centred]


def _draw_axes(spectra: Spectra, centred: bool) -> Learned:
    population = spectra.population(centred)
    dimension = spectra.dimension
    num_axes = min(NUM_AXES, dimension)
    if population is None:  # a handful of rows: what they show is all there is
        shares = np.zeros(dimension)
        values = spectra.of(centred).eigenvalues
        shares[: len(values)] = values / values.sum()
        plain = LearnedAxes.of(shares, float(spectra.counts.sum()), num_axes)
        return plain, [plain] * spectra.num_groups, plain
    shares = direction_shares(population.spectrum, dimension)
    all_rows = float(spectra.counts.sum())
    few = all_rows <= MOST_RATIO * dimension
    rows, shape = (all_rows, population.shape) if few else (population.num_rows, inf)
    own = LearnedAxes.of(shares, rows * (1 - 1 / spectra.num_groups), num_axes, shape)

    def like(spectrum: PopulationSpectrum | None) -> LearnedAxes:
        other = shares if spectrum is None else direction_shares(spectrum, dimension)
        return LearnedAxes(shares=other, overlaps=own.overlaps)

    left_out = [like(spectrum) for spectrum in population.left_out]
    return own, left_out or [own] * spectra.num_groups, like(population.rival)


def axes_without(whole: LearnedAxes, left_out: list[LearnedAxes], place: int | None) -> LearnedAxes:
    """Return the axes without the group at a place; of all, where it has none of the rows."""
    return whole if place is None else left_out[place]
