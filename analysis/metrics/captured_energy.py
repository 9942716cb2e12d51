"""How much of one condition's offsets lies in the leading subspace of another's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, partial, reduce

import numpy as np
from jaxtyping import Float64

from analysis.estimates import evaluation
from analysis.estimates.captured_energies import Captured, Pair, capture_energies
from analysis.estimates.intervals import Estimate, jackknife
from analysis.estimates.leading_axes import RESOLVED, axes_without, learned_axes
from analysis.metric import Computation, Metric
from analysis.rows.summary import Sample
from analysis.status import Status


@dataclass(frozen=True, kw_only=True, eq=False)
class Leading:
    """Shares inside the population's leading axes, by each model of what lies beside them."""

    own: Float64[np.ndarray, "models leave"]
    """Shares of the sample's energy, with all groups and without each."""
    heldout: Float64[np.ndarray, "models leave"]
    """Shares of the energy of the condition whose axes these are, likewise."""


class CapturedEnergy(Metric):
    """Shares of energy: k/d is no null, the share of the condition that the axes are of is.

    Few rows teach axes that miss part of the true ones. The first three are of the axes that
    infinitely many rows would give; those called learned are of the axes as these rows gave them,
    and fall with their number, for both conditions alike. 0 to 1, the ratios above 0; rotating both
    conditions together or scaling either changes nothing.
    """

    DEFINITION = (
        "v3: share of squared norm in the other condition's top min(10, d) population axes, solved"
        " for from the energies along axes learned without group g, pooled over g, by how axes of "
        "so many rows of the other condition's population eigenvalues lie, mean of two models of "
        "the rest; _heldout: of the other condition itself, by the same axes; _ratio: of the two; "
        "interval: delete-group jackknife, learned axes held fixed or learned again, the wider, "
        "and what the models and another spectrum that fits differ by; _learned…: in the axes as "
        "learned, that jackknife alone; centred: rows minus the mean of the groups but g; bands: a "
        "random subspace, and base rows in the axes of base rows of the other half of the groups"
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
        captured = cache(partial(capture_energies, sample, against, centred))
        varied = cache(lambda: _vary_axes(captured(), sample, against, centred))
        leading = cache(
            lambda: [
                _find_leading(captured(), along, against, centred)
                for along in (varied(), _fix_axes(captured()))
            ]
        )
        return [
            lambda: _measure_leading(captured()[0], [found.own for found in leading()]),
            lambda: _measure_leading(captured()[1], [found.heldout for found in leading()]),
            lambda: _measure_leading_ratio(*captured(), leading()),
            lambda: _measure_share(captured()[0], varied()[0]),
            lambda: _measure_share(captured()[1], varied()[1]),
            lambda: _measure_ratio(*captured(), varied()),
        ]


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


def _fix_axes(pair: Pair) -> tuple[Along, Along]:
    """Return both conditions' shares along axes that stay what they were without each group."""
    first, second = (list(np.maximum(half.along_left, 0.0)) for half in pair)
    return first, second


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
        if not (np.isfinite(shares).all() and np.isfinite(held).all()):
            own.append((np.nan, np.nan))
            heldout.append(np.nan)
            continue
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


Numbers = Float64[np.ndarray, "models leave"]


def _measure_leading(
    captured: Captured, ways: Sequence[Numbers], most: float = 1.0
) -> evaluation.Measured:
    """Measure the mean of two models; to its error that of the models is added, as variances.

    Args:
        captured: the energies that the numbers are made of.
        ways: the numbers, which differ in what a group is left out of: the wider interval counts.
        most: the largest number there can be.
    """
    filled = captured.counts > 0
    counts = captured.counts[filled]
    centres = [numbers[:2].mean(axis=0) for numbers in ways]
    first, *others = (jackknife(float(centre[0]), centre[1:][filled], counts) for centre in centres)
    estimate = reduce(Estimate.joined, others, first)
    if estimate.low is not None and estimate.high is not None:
        value, models = estimate.value, ways[0][:, 0]
        below = float(np.hypot(value - estimate.low, value - models.min()))
        above = float(np.hypot(estimate.high - value, models.max() - value))
        estimate = replace(estimate, low=value - below, high=value + above)
    return evaluation.Measured(
        estimate=estimate.within(0.0, most),
        num_rows=int(captured.counts.sum()),
        groups=captured.numbers[filled].tolist(),
        null=captured.null,
    )


def _measure_leading_ratio(
    own: Captured, other: Captured, leading: Sequence[Leading]
) -> evaluation.Measured:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = [found.own / found.heldout for found in leading]
    both = replace(own, counts=own.counts + other.counts)
    measured = _measure_leading(both, ratios, most=float("inf"))
    return replace(measured, null=None, num_rows=int(own.counts.sum()))


def _measure_share(captured: Captured, varied: Along) -> evaluation.Measured:
    """Measure the share in axes as learned, these held fixed, or learned again if that says more.

    Which rows happen to have taught the axes moves the share as well, and most where they are few.
    """
    again = np.array([float(along.sum()) for along in varied])
    estimate = _wider(captured.share, captured.shares_left, again, captured.counts)
    return evaluation.Measured(
        estimate=estimate.within(0.0, 1.0),
        num_rows=int(captured.counts.sum()),
        groups=captured.numbers[captured.counts > 0].tolist(),
        null=captured.null,
        base_null=captured.base_null,
    )


def _measure_ratio(
    sample: Captured, other: Captured, varied: tuple[Along, Along]
) -> evaluation.Measured:
    """Measure the ratio of both conditions' shares in axes as learned, by the same two ways."""
    if not other.share > 0:
        reason = "the other condition's own held-out share is zero"
        raise evaluation.UnmeasurableError(reason, Status.BELOW_NOISE_FLOOR)
    own, beside = (np.array([float(along.sum()) for along in half]) for half in varied)
    with np.errstate(divide="ignore", invalid="ignore"):
        fixed, again = sample.shares_left / other.shares_left, own / beside
    counts = sample.counts + other.counts
    estimate = _wider(sample.share / other.share, fixed, again, counts)
    num_rows, groups = int(sample.counts.sum()), sample.numbers.tolist()
    return evaluation.Measured(estimate=estimate, num_rows=num_rows, groups=groups)


def _wider(
    value: float,
    fixed: Float64[np.ndarray, " groups"],
    again: Float64[np.ndarray, " groups"],
    counts: Float64[np.ndarray, " groups"],
) -> Estimate:
    """Estimate by jackknife with axes held fixed, out to that with axes learned again."""
    filled = counts > 0
    estimate, other = (
        jackknife(value, left_out[filled], counts[filled]) for left_out in (fixed, again)
    )
    return estimate.joined(other)
