"""How much of one condition's offsets lies in the leading subspace of another's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np
from jaxtyping import Float64

from analysis.estimates import evaluation
from analysis.estimates.captured_energies import Captured, Pair, capture_energies
from analysis.estimates.intervals import jackknife
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
        captured = cache(partial(capture_energies, sample, against, centred))
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
