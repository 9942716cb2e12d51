"""What leading axes of a population hold of two conditions' energy, and its measurement.

Energies along axes that rows taught become shares in the axes that infinitely many rows would give
(`leading_axes.py`), with all groups and without each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
from jaxtyping import Float64

from analysis.estimates import evaluation
from analysis.estimates.captured_energies import Captured, Pair
from analysis.estimates.intervals import Estimate, jackknife
from analysis.estimates.leading_axes import ACCURACY, axes_without, learned_axes
from analysis.rows.spectra import NUM_AXES
from analysis.rows.summary import Sample

ROUNDING = 1e-9
"""Relative difference of models that say the same."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Leading:
    """Shares inside the population's leading axes, by each model of what lies beside them."""

    own: Float64[np.ndarray, "models leave"]
    """Shares of the sample's energy, with all groups and without each."""
    heldout: Float64[np.ndarray, "models leave"]
    """Shares of the energy of the condition whose axes these are, likewise."""
    are_told: bool
    """True where the rows determine the leading axes; where not, either model may be far off."""


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
        rest = totals[kept].sum()
        along[: len(energies)] = energies / rest if rest > 0 else np.nan
        shares.append(along)
    shift = captured.shares_along - np.mean(shares, axis=0)
    return [np.maximum(along + shift, 0.0) for along in shares]


Along = list[Float64[np.ndarray, " k"]]
"""Shares along the axes without each group."""


def vary_axes(
    pair: Pair, sample: Sample, against: Sample | None, centred: bool
) -> tuple[Along, Along]:
    """Return both conditions' shares along axes that are learned again without each group."""
    other = evaluation.require_against(against)
    return (
        _shares_without(pair[0], sample, other, centred),
        _shares_without(pair[1], other, other, centred),
    )


def fix_axes(pair: Pair) -> tuple[Along, Along]:
    """Return both conditions' shares along axes that stay what they were without each group."""
    first, second = (list(np.maximum(half.along_left, 0.0)) for half in pair)
    return first, second


def find_leading(
    pair: Pair,
    varied: tuple[Along, Along],
    against: Sample | None,
    centred: bool,
    num_leading: int | None = None,
) -> Leading:
    """Return both conditions' shares in the leading axes of the population.

    Args:
        pair: energies of the sample, and of the condition that the axes are of.
        varied: shares along learned axes without each group, of both.
        against: rows of the condition that the axes are of.
        centred: whether energies are about the mean.
        num_leading: how many leading axes are meant; None for all that are kept.
    """
    other = evaluation.require_against(against)
    axes, left_out, rival = learned_axes(other.spectra, centred)
    if num_leading is not None:
        axes, rival = axes.first(num_leading), rival.first(num_leading)
        left_out = [known.first(num_leading) for known in left_out]
    places = {int(number): place for place, number in enumerate(other.filled)}
    along, own_along = (
        [shares[:num_leading] for shares in (half.shares_along, *without)]
        for half, without in zip(pair, varied, strict=True)
    )
    # How far blocks of axes differ is asked once: without each group it is the same.
    whole = axes.calibrated(own_along[0])
    apart = whole.find_apart(along[0], along[1:])
    own, heldout = [], []
    for number, shares, held in zip((None, *pair[0].numbers), along, own_along, strict=True):
        known = axes if number is None else axes_without(axes, left_out, places.get(int(number)))
        if not (np.isfinite(shares).all() and np.isfinite(held).all()):
            own.append((np.nan, np.nan))
            heldout.append(np.nan)
            continue
        known = known.calibrated(held)
        own.append(known.leading_share(shares, apart))
        heldout.append(known.leading)
    numbers, others = np.array(own).T, np.array([heldout, heldout])
    # What another spectrum says is a further model; so is the spectrum alone, for axes that rows of
    # heavy tails taught hold less than it says; and, where the rows hardly tell the leading axes,
    # that the learned ones miss nothing. Without each group they differ as with all.
    rival = rival.calibrated(own_along[0])
    ends = [
        (float(np.mean(rival.leading_share(along[0], apart))), rival.leading),
        (min(numbers[:2, 0].mean() * axes.leading / others[0, 0], 1.0), axes.leading),
    ]
    if axes.is_told:
        ends += [(end, whole.leading) for end in whole.shares_if_uneven(along[0], apart)]
    else:
        first, second = (half.share_along(num_leading) for half in pair)
        ends.append((first, second))
    # Fewer axes than are meant: those that no row taught may hold all that is left.
    if pair[0].along.shape[1] < min(num_leading or NUM_AXES, other.spectra.dimension):
        ends.append((1.0, 1.0))
    for first, second in ends:
        moved = numbers[:2].mean(axis=0)
        numbers = np.stack([*numbers, moved + first - moved[0]])
        others = np.stack([*others, others[0] + second - others[0, 0]])
    return Leading(own=numbers, heldout=others, are_told=axes.is_told)


Numbers = Float64[np.ndarray, "models leave"]


def measure_leading(
    captured: Captured,
    ways: Sequence[Leading],
    number_of: Callable[[Leading], Numbers],
    most: float = 1.0,
) -> evaluation.Measured:
    """Measure half way between two models and what another spectrum says.

    To its error that of the models is added, and ACCURACY: the smoothest spectrum that fits reads a
    flat one as one that falls, and its leading axes as fuller than they are. Errors are added in
    squares; where the leading axes are not told, whole.

    Args:
        captured: the energies that the numbers are made of.
        ways: these differ in what a group is left out of: the wider interval counts.
        number_of: takes the number of them, or makes it.
        most: the largest number there can be.
    """
    filled = captured.counts > 0
    counts = captured.counts[filled]
    all_numbers = [number_of(way) for way in ways]
    centres = [(numbers[:2].mean(axis=0) + numbers[2]) / 2 for numbers in all_numbers]
    first, *others = (jackknife(float(centre[0]), centre[1:][filled], counts) for centre in centres)
    estimate = reduce(Estimate.joined, others, first)
    value, models = estimate.value, all_numbers[0][:, 0]
    ends = np.array([models.min(), models.max()])
    apart, accuracy = np.abs(ends - value), ACCURACY * ends
    if np.ptp(ends) <= ROUNDING * value:  # as of a condition against itself
        accuracy = np.zeros(2)
    if ways[0].are_told:
        estimate = estimate.widened(*np.hypot(apart, accuracy))
    else:
        estimate = estimate.extended(*(apart + accuracy))
    return evaluation.Measured(
        estimate=estimate.within(0.0, most),
        num_rows=int(captured.counts.sum()),
        groups=captured.numbers[filled].tolist(),
        null=captured.null,
    )


def measure_leading_ratio(
    own: Captured, other: Captured, ways: Sequence[Leading]
) -> evaluation.Measured:
    """Measure the sample's share in leading axes over that of the condition they are of."""
    both = replace(own, counts=own.counts + other.counts)
    measured = measure_leading(both, ways, _ratios, most=float("inf"))
    return replace(measured, null=None, num_rows=int(own.counts.sum()))


def _ratios(way: Leading) -> Numbers:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(way.own / way.heldout)
