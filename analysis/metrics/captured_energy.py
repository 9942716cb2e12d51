"""How much of one condition's offsets lies in the leading subspace of another's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, cached_property, partial

import numpy as np
from jaxtyping import Float64, Int64

from analysis.estimates import evaluation
from analysis.estimates.intervals import MIN_GROUPS, jackknife, ratios_left
from analysis.estimates.leading_axes import RESOLVED, axes_without, learned_axes
from analysis.estimates.nulls import Band, random_share
from analysis.metric import Computation, Metric
from analysis.rows.base_rows import BaseRows
from analysis.rows.moments import Moments
from analysis.rows.spectra import Spectra
from analysis.rows.summary import Sample
from analysis.status import Status


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

    @property
    def shares_left(self) -> Float64[np.ndarray, " groups"]:
        """The share without each group; the subspaces stay what they were.

        Finding them again would take a decomposition per pair of groups for a second-order change.
        """
        return np.asarray(np.maximum(ratios_left(self.inside, self.total), 0.0))

    @property
    def shares_along(self) -> Float64[np.ndarray, " k"]:
        """The share along each axis, groups pooled."""
        return np.asarray(self.along.sum(axis=0) / self.total.sum())


@dataclass(frozen=True, kw_only=True, eq=False)
class Leading:
    """Shares inside the population's leading axes, by each model of what lies beside them."""

    own: Float64[np.ndarray, "models leave"]
    """Shares of the sample's energy, with all groups and without each."""
    heldout: Float64[np.ndarray, "models leave"]
    """The same of the condition whose axes these are."""


class CapturedEnergy(Metric):
    """Shares of energy: k/d is no null, the share of the condition that the axes are of is.

    Few rows teach axes that miss part of the true ones. The first three are of the axes that
    infinitely many rows would give; those called learned are of the axes as these rows gave them,
    and fall with their number, for both conditions alike. 0 to 1, the ratios above 0; rotating both
    conditions together or scaling either changes nothing.
    """

    DEFINITION = (
        "v2: share of squared norm in the other condition's top min(10, d) population axes, solved"
        " for from the energies along axes learned without group g, pooled over g, by how axes of "
        "so many rows of the other condition's population eigenvalues lie, mean of two models of "
        "the rest; _heldout: of the other condition itself, by the same axes; _ratio: of the two; "
        "interval: delete-group jackknife, and what the models and another spectrum that fits "
        "differ by; _learned…: in the axes as learned, these held fixed or learned again, the "
        "wider; centred: rows minus the mean of the groups but g; bands: a random subspace, and "
        "base rows in the axes of base rows of the other half of the groups"
    )
    REPORTS = (
        "captured_energy",
        "captured_energy_heldout",
        "captured_energy_ratio",
        "captured_energy_learned",
        "captured_energy_learned_heldout",
        "captured_energy_learned_ratio",
    )
    AXIS_LABEL = "share of energy in the other condition's top 10 axes (0 to 1)"
    HEADLINES = {"captured_energy_ratio": 180}
    NEEDS_AGAINST = True
    IS_SPECTRAL = True

    def prepare(self, sample: Sample, against: Sample | None, centred: bool) -> list[Computation]:
        """Return what computes each value."""
        captured = cache(partial(_capture, sample, against, centred))
        varied = cache(lambda: _vary_axes(captured(), sample, against, centred))
        leading = cache(lambda: _find_leading(captured(), varied(), against, centred))
        return [
            lambda: _measure_leading(captured()[0], leading().own),
            lambda: _measure_leading(captured()[1], leading().heldout),
            lambda: _measure_leading_ratio(*captured(), leading()),
            lambda: _measure_share(captured()[0], varied()[0]),
            lambda: _measure_share(captured()[1], varied()[1]),
            lambda: _measure_ratio(*captured()),
        ]


Pair = tuple[Captured, Captured]


def _shares_without(
    captured: Captured, sample: Sample, other: Sample, centred: bool
) -> list[Float64[np.ndarray, " k"]]:
    """Return the share along axes learned without each group, of the rows outside it.

    Rows of one prompt may be in both conditions, so that the axes know rows that they judge: what
    all these shares have in common of that is taken off.
    """
    places = {int(number): place for place, number in enumerate(other.filled)}
    own = {int(number): place for place, number in enumerate(sample.filled)}
    totals = sample.spectra.traces(centred)
    shares = []
    for number in map(int, captured.numbers):
        axes = other.spectra.of(centred, places.get(number)).axes
        kept = np.arange(len(totals)) != own.get(number, -1)
        along = np.zeros(captured.along.shape[1])
        energies = sample.spectra.energies(centred, axes)[kept].sum(axis=0)
        along[: len(energies)] = energies / totals[kept].sum()
        shares.append(along)
    shift = captured.shares_along - np.mean(shares, axis=0)
    return [np.maximum(along + shift, 0.0) for along in shares]


Along = list[Float64[np.ndarray, " k"]]
"""Shares along the axes without each group."""


def _vary_axes(
    pair: Pair, sample: Sample, against: Sample | None, centred: bool
) -> tuple[Along, Along]:
    """Return both conditions' shares along axes that are learned again without each group."""
    other = evaluation.require_against(against)
    return (
        _shares_without(pair[0], sample, other, centred),
        _shares_without(pair[1], other, other, centred),
    )


def _find_leading(
    pair: Pair, varied: tuple[Along, Along], against: Sample | None, centred: bool
) -> Leading:
    """Return both conditions' shares in the leading axes of the population."""
    other = evaluation.require_against(against)
    axes, left_out, rival = learned_axes(other.spectra, centred)
    places = {int(number): place for place, number in enumerate(other.filled)}
    along, own_along = (
        [half.shares_along, *without] for half, without in zip(pair, varied, strict=True)
    )
    own, heldout = [], []
    for number, shares, held in zip((None, *pair[0].numbers), along, own_along, strict=True):
        known = axes if number is None else axes_without(axes, left_out, places.get(int(number)))
        known = known.calibrated(held)
        own.append(known.leading_share(shares))
        heldout.append(known.leading)
    numbers, others = np.array(own).T, np.array([heldout, heldout])
    # What another spectrum says is a further model; so is, where the rows hardly tell the leading
    # axes, that the learned ones miss nothing. Without each group they differ as with all.
    rival = rival.calibrated(own_along[0])
    ends = [(float(np.mean(rival.leading_share(along[0]))), rival.leading)]
    if axes.purity < RESOLVED:
        ends.append((pair[0].share, pair[1].share))
    for first, second in ends:
        moved = numbers[:2].mean(axis=0)
        numbers = np.stack([*numbers, moved + first - moved[0]])
        others = np.stack([*others, others[0] + second - others[0, 0]])
    return Leading(own=numbers, heldout=others)


def _measure_leading(
    captured: Captured, numbers: Float64[np.ndarray, "models leave"], most: float = 1.0
) -> evaluation.Measured:
    """Measure the mean of two models; to its error that of the models is added, as variances."""
    filled = captured.counts > 0
    counts = captured.counts[filled]
    centre = numbers[:2].mean(axis=0)
    estimate = jackknife(float(centre[0]), centre[1:][filled], counts)
    if estimate.low is not None and estimate.high is not None:
        value, models = estimate.value, numbers[:, 0]
        below = float(np.hypot(value - estimate.low, value - models.min()))
        above = float(np.hypot(estimate.high - value, models.max() - value))
        estimate = replace(estimate, low=value - below, high=value + above)
    return evaluation.Measured(
        estimate=estimate.within(0.0, most),
        num_rows=int(captured.counts.sum()),
        groups=captured.numbers[filled].tolist(),
        null=captured.null,
    )


def _measure_leading_ratio(own: Captured, other: Captured, leading: Leading) -> evaluation.Measured:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = leading.own / leading.heldout
    both = replace(own, counts=own.counts + other.counts)
    measured = _measure_leading(both, ratios, most=float("inf"))
    return replace(measured, null=None, num_rows=int(own.counts.sum()))


def _measure_share(captured: Captured, varied: Along) -> evaluation.Measured:
    """Measure the share in axes as learned, these held fixed, or learned again if that says more.

    Which rows happen to have taught the axes moves the share as well, and most where they are few.
    """
    filled = captured.counts > 0
    left_out, counts = captured.shares_left[filled], captured.counts[filled]
    estimate = jackknife(captured.share, left_out, counts)
    again = np.array([float(along.sum()) for along in varied])[filled]
    other = jackknife(captured.share, again, counts)
    lows = [end for end in (estimate.low, other.low) if end is not None]
    highs = [end for end in (estimate.high, other.high) if end is not None]
    if lows and highs:
        estimate = replace(estimate, low=min(lows), high=max(highs))
    return evaluation.Measured(
        estimate=estimate.within(0.0, 1.0),
        num_rows=int(captured.counts.sum()),
        groups=captured.numbers[filled].tolist(),
        null=captured.null,
        base_null=captured.base_null,
    )


def _measure_ratio(sample: Captured, other: Captured) -> evaluation.Measured:
    if not other.share > 0:
        reason = "the other condition's own held-out share is zero"
        raise evaluation.UnmeasurableError(reason, Status.BELOW_NOISE_FLOOR)
    with np.errstate(divide="ignore", invalid="ignore"):
        left_out = sample.shares_left / other.shares_left
    counts = sample.counts + other.counts
    estimate = jackknife(sample.share / other.share, left_out, counts)
    num_rows, groups = int(sample.counts.sum()), sample.numbers.tolist()
    return evaluation.Measured(estimate=estimate, num_rows=num_rows, groups=groups)


def _capture(sample: Sample, against: Sample | None, centred: bool) -> Pair:
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
                null=_find_random_band(evaluation.require_spectra(own, centred), num_axes, centred),
                base_null=_find_base_band(own.base, other.base, num_axes),
            )
        )
    return captured[0], captured[1]


def _sum_energies(
    moments: dict[int, Moments],
    numbers: list[int],
    subspaces: list[Float64[np.ndarray, "d k"]],
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


def _find_random_band(spectra: Spectra, num_axes: int, centred: bool) -> Band:
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
