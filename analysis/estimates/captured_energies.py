"""How much energy rows of one condition have along the leading axes of another's other groups."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float64, Int64

from analysis.estimates import evaluation
from analysis.estimates.intervals import MIN_GROUPS, jackknife, ratios_left
from analysis.estimates.nulls import Band, random_share
from analysis.rows.base_rows import BaseRows
from analysis.rows.moments import Moments
from analysis.rows.spectra import Spectra
from analysis.rows.summary import Sample


@dataclass(frozen=True, kw_only=True, eq=False)
class Captured:
    """Energy of one condition, by group, along axes that other groups gave and in all."""

    along: Float64[np.ndarray, "groups k"]
    """Squared norm of each group's rows along each axis from the other groups."""
    total: Float64[np.ndarray, " groups"]
    """Squared norm of each group's rows."""
    counts: Float64[np.ndarray, " groups"]
    """Rows of each group."""
    numbers: Int64[np.ndarray, " groups"]
    """Numbers of the groups."""
    null: Band
    """The share inside a random subspace."""
    base_null: Band | None
    """The share of base rows inside the leading axes of other base rows."""

    @cached_property
    def inside(self) -> Float64[np.ndarray, " groups"]:
        """Return the squared norm of each group's rows inside the subspace."""
        return np.asarray(self.along.sum(axis=1))

    @property
    def share(self) -> float:
        """Energy inside over energy in all, groups pooled."""
        return float(self.inside.sum() / self.total.sum())

    def share_along(self, num_axes: int | None) -> float:
        """Return the share along the first axes alone; along all for None."""
        if num_axes is None:
            return self.share
        return float(self.along[:, :num_axes].sum() / self.total.sum())

    @property
    def shares_left(self) -> Float64[np.ndarray, " groups"]:
        """The share without each group; the subspaces stay what they were.

        Finding them again would take a decomposition per pair of groups for a second-order change.
        """
        return np.asarray(np.maximum(ratios_left(self.inside, self.total), 0.0))

    @property
    def along_left(self) -> Float64[np.ndarray, "groups k"]:
        """The share along each axis without each group; NaN where nothing is left."""
        rest = (self.total.sum() - self.total)[:, None]
        above, nothing = self.along.sum(axis=0) - self.along, np.full(self.along.shape, np.nan)
        return np.asarray(np.divide(above, rest, out=nothing, where=rest > 0))

    @property
    def shares_along(self) -> Float64[np.ndarray, " k"]:
        """The share along each axis, groups pooled."""
        return np.asarray(self.along.sum(axis=0) / self.total.sum())


Pair = tuple[Captured, Captured]
"""The sample, and the condition that the subspaces are of."""


def capture_energies(sample: Sample, against: Sample | None, centred: bool) -> Pair:
    """Return the energies of the sample, and of the condition that the subspaces are of."""
    other = evaluation.require_against(against)
    pair = evaluation.require_moments(sample), evaluation.require_moments(other)
    for half in pair:
        evaluation.require_groups(len(half), 2)
    spectra = evaluation.require_spectra(other, centred)
    places = {number: place for place, number in enumerate(pair[1])}
    numbers = sorted(pair[0].keys() | pair[1].keys())
    subspaces = [spectra.of(centred, places.get(number)).axes for number in numbers]
    num_axes = spectra.of(centred).axes.shape[1]
    captured = []
    for half, own in zip(pair, (sample, other), strict=True):
        along, total, counts = _sum_energies(half, numbers, subspaces, centred)
        evaluation.require_energy(total)
        captured.append(
            Captured(
                along=along,
                total=total,
                counts=counts,
                numbers=np.array(numbers),
                null=random_band(evaluation.require_spectra(own, centred), num_axes, centred),
                base_null=_find_base_band(own.base, other.base, num_axes),
            )
        )
    return captured[0], captured[1]


def _sum_energies(
    moments: dict[int, Moments],
    numbers: list[int],
    subspaces: list[Float64[np.ndarray, "d _"]],
    centred: bool,
) -> tuple[
    Float64[np.ndarray, "groups k"], Float64[np.ndarray, " groups"], Float64[np.ndarray, " groups"]
]:
    """Return each group's energy along the axes of its subspace and in all, and its rows.

    Energies are about zero, or, centred, about the mean of the rows outside the group.
    """
    empty = Moments.empty(subspaces[0].shape[0])
    groups = [moments.get(number, empty) for number in numbers]
    counts = np.array([float(group.num_rows) for group in groups])
    moved = np.stack([group.mean for group in groups])
    if centred:
        sums = moved * counts[:, None]
        moved = moved - (sums.sum(axis=0) - sums) / (counts.sum() - counts)[:, None]
    along = np.zeros((len(groups), max(axes.shape[1] for axes in subspaces)))
    for place, (group, axes, shift) in enumerate(zip(groups, subspaces, moved, strict=True)):
        energy = group.scatter.energy(axes) + group.num_rows * np.square(shift @ axes)
        along[place, : axes.shape[1]] = energy
    own = np.array([group.scatter.trace() for group in groups])
    return along, own + counts * np.square(moved).sum(axis=1), counts


def random_band(spectra: Spectra, num_axes: int, centred: bool) -> Band:
    """Return the band of the share of these very rows inside a random subspace."""
    purity = spectra.products(centred).sum() / spectra.traces(centred).sum() ** 2
    return random_share(num_axes, spectra.dimension, float(purity))


def _find_base_band(own: BaseRows | None, other: BaseRows | None, num_axes: int) -> Band | None:
    """Return the interval of the share of one condition's base rows inside the other's axes.

    Axes of each half of the groups, energy of the other half: what two independent draws of one
    covariance share, with as many rows as are kept.
    """
    if own is None or other is None:
        return None
    moments, given = own.moments(), other.moments()
    inside, total = np.zeros((2, len(moments)))
    counts = np.array([float(group.num_rows) for group in moments.values()])
    halves = [[m for n, m in given.items() if n % 2 == parity] for parity in (0, 1)]
    if len(moments) < MIN_GROUPS or not all(halves):
        return None
    axes = [Spectra(half).of(True).axes[:, :num_axes] for half in halves]
    for place, (number, group) in enumerate(moments.items()):
        taken = axes[1 - number % 2]
        length = group.num_rows * np.square(group.mean @ taken).sum()
        inside[place] = group.scatter.energy(taken).sum() + length
        total[place] = group.scatter.trace() + group.num_rows * (group.mean @ group.mean)
    left_out = np.maximum(ratios_left(inside, total), 0.0)
    estimate = jackknife(float(inside.sum() / total.sum()), left_out, counts).within(0.0, 1.0)
    if estimate.low is None or estimate.high is None:
        return None
    return Band(low=estimate.low, high=estimate.high)
