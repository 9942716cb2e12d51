"""How much of one objective's δ lies in the subspace of another's, and how much beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, partial
from operator import attrgetter

import numpy as np
from jaxtyping import Float64

from analysis.estimates import evaluation
from analysis.estimates.captured_energies import Captured, capture_energies, random_band
from analysis.estimates.group_means import estimated_mean
from analysis.estimates.intervals import Estimate
from analysis.estimates.leading_axes import direction_shares
from analysis.estimates.leading_energies import (
    Leading,
    find_leading,
    fix_axes,
    measure_leading,
    measure_leading_ratio,
    vary_axes,
)
from analysis.estimates.nulls import Band, base_cosine, base_share
from analysis.estimates.paired_rows import PairedRows
from analysis.estimates.shared_subspace import num_axes_of
from analysis.metric import Computation, Metric
from analysis.rows.spectra import NUM_AXES
from analysis.rows.summary import Sample
from analysis.status import Status


@dataclass(frozen=True, kw_only=True, eq=False)
class Shared:
    """Energies inside the other objective's subspace, and what they are held against."""

    pair: tuple[Captured, Captured]
    """Energies of the sample, and of the objective that the subspace is of."""
    ways: list[Leading]
    """Shares in the subspace without each group: axes held fixed, or learned again."""
    num_axes: int
    """Dimensions of the subspace."""
    random: Band
    """Share of the sample's energy inside a random subspace."""
    base: Band | None
    """The same of a δ with its weights along random directions of the base covariance."""

    @property
    def ceiling(self) -> float:
        """Share of the other objective's own energy in its subspace."""
        return float(self.ways[0].heldout[:2, 0].mean())


class SharedPart(Metric):
    """Parts of the energy of δ inside and outside the subspace of another objective's δ.

    The subspace is of the fewest leading axes, at most ten, that hold 90 % of the other's energy.
    About zero the mean offset is among them, where it holds energy; about the mean it is not. Axes
    never judge the prompts they were learned from; what few rows miss of them is solved for, as in
    `captured_energy`. No part can be more than what the subspace holds of the other objective
    itself, the ceiling. Rotating both together or scaling either changes nothing.
    """

    DEFINITION = (
        "v5: energy_inside_sft: share of squared norm inside the leading population axes of the "
        "other objective (SFT where a study compares with it), the fewest, at most 10, that hold "
        "90 % of its energy, solved for as captured_energy (v8) does, with its interval; _ceiling: "
        "of the other objective itself; energy_outside_sft: 1 minus the first; shared_part: the "
        "first over the ceiling; paired_cosine: mean cosine of both δ "
        "at one token of each prompt, about zero or the mean of the other groups, delete-group "
        "jackknife; bands: a random subspace (of the cosine: prompts paired at random), and a δ "
        "of the same weights along directions of the base covariance (of the cosine: two of these)"
    )
    REPORTS = (
        "shared_part",
        "energy_inside_sft",
        "energy_outside_sft",
        "energy_inside_sft_ceiling",
        "paired_cosine",
    )
    AXIS_LABEL = "share of the energy of δ (0 to 1)"
    RANGES = {
        "shared_part": (0.0, None),
        **dict.fromkeys(REPORTS[1:4], (0.0, 1.0)),
        "paired_cosine": (-1.0, 1.0),
    }
    HEADLINES = {"energy_inside_sft": 183, "energy_outside_sft": 184}
    NEEDS_AGAINST = True
    IS_SPECTRAL = True
    IN_ALL = False

    def prepare(self, sample: Sample, against: Sample | None, centred: bool) -> list[Computation]:
        """Return what computes each value."""
        shared = cache(partial(_find_shared, sample, against, centred))
        return [
            lambda: _measure_ratio(shared()),
            lambda: _measure_inside(shared()),
            lambda: _mirrored(_measure_inside(shared())),
            lambda: replace(
                measure_leading(shared().pair[1], shared().ways, attrgetter("heldout")),
                null=None,
            ),
            partial(_measure_pairs, sample, against, centred),
        ]


def _find_shared(sample: Sample, against: Sample | None, centred: bool) -> Shared:
    other = evaluation.require_against(against)
    pair = capture_energies(sample, other, centred)
    number = num_axes_of(other.spectra, centred)
    spectra = evaluation.require_spectra(sample, centred)
    axes = other.spectra.of(centred).axes[:, :number]
    ways = [
        find_leading(pair, along, other, centred, number)
        for along in (vary_axes(pair, sample, other, centred), fix_axes(pair))
    ]
    return Shared(
        pair=pair,
        ways=ways,
        num_axes=number,
        random=random_band(spectra, number, centred),
        base=base_share(sample.base, axes, _weights(sample, centred)),
    )


def _weights(sample: Sample, centred: bool) -> Float64[np.ndarray, " k"]:
    """Return the shares of a sample's energy along its leading population axes."""
    population = sample.spectra.population(centred)
    if population is not None:
        return direction_shares(population.spectrum, sample.spectra.dimension)[:NUM_AXES]
    values = sample.spectra.of(centred).eigenvalues
    return np.asarray(values / values.sum())[:NUM_AXES]


def _measure_inside(shared: Shared) -> evaluation.Measured:
    measured = measure_leading(shared.pair[0], shared.ways, attrgetter("own"))
    return replace(measured, null=shared.random, base_null=shared.base)


def _mirrored(measured: evaluation.Measured) -> evaluation.Measured:
    """Return 1 minus a number, with its interval and bands."""
    inside = measured.estimate
    estimate = Estimate(
        value=1 - inside.value,
        low=None if inside.high is None else 1 - inside.high,
        high=None if inside.low is None else 1 - inside.low,
        left_out=tuple(1 - number for number in inside.left_out),
    )
    bands = (
        None if band is None else Band(low=1 - band.high, high=1 - band.low)
        for band in (measured.null, measured.base_null)
    )
    null, base_null = bands
    return replace(measured, estimate=estimate, null=null, base_null=base_null)


def _measure_ratio(shared: Shared) -> evaluation.Measured:
    if not shared.ceiling > 0:
        reason = "the other objective's own share in its subspace is zero"
        raise evaluation.UnmeasurableError(reason, Status.BELOW_NOISE_FLOOR)
    scale = 1 / shared.ceiling
    return replace(
        measure_leading_ratio(*shared.pair, shared.ways),
        null=shared.random.times(scale),
        base_null=None if shared.base is None else shared.base.times(scale),
    )


def _measure_pairs(sample: Sample, against: Sample | None, centred: bool) -> evaluation.Measured:
    other = evaluation.require_against(against)
    pairs = PairedRows.of(sample, other)
    pairs = pairs.centred() if centred else pairs
    cosines = pairs.cosines()
    moved = np.isfinite(cosines)
    if not moved.any():
        reason = "at no token did both objectives move anything"
        raise evaluation.UnmeasurableError(reason, Status.BELOW_NOISE_FLOOR)
    estimate = estimated_mean(cosines[moved], pairs.groups[moved])
    return evaluation.Measured(
        estimate=estimate.within(-1.0, 1.0),
        num_rows=int(moved.sum()),
        groups=np.unique(pairs.groups[moved]).tolist(),
        null=pairs.unpaired(),
        base_null=base_cosine(sample.base, other.base),
    )
