"""Whether two conditions move within the same subspace: principal angles of their leading axes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from jaxtyping import Float64

from analysis.estimates import evaluation
from analysis.estimates.intervals import jackknife
from analysis.estimates.nulls import Band, base_angles, principal_cosines, random_angles
from analysis.metric import Computation, Metric
from analysis.rows.summary import Sample

Cosines = Float64[np.ndarray, "... k"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Angles:
    """Cosines of principal angles, of all groups, without each, and under both nulls."""

    whole: Cosines
    """Of all groups."""
    left_out: list[Cosines]
    """Without each group that either condition has."""
    counts: Float64[np.ndarray, " groups"]
    """Rows of each group in both conditions."""
    numbers: list[int]
    """Numbers of these groups."""
    num_rows: int
    """Rows of the sample."""
    random: Cosines
    """Of pairs of random subspaces."""
    base: Cosines | None
    """Of pairs spanned by directions of the base covariance."""


class SubspaceOverlap(Metric):
    """Cosines of principal angles (Bjorck and Golub 1973).

    0 to 1; rotating both conditions together or scaling either changes nothing. Noise in the axes
    lowers them: the jackknife takes most of that off while the tenth eigenvalue stands out from the
    eleventh.
    """

    DEFINITION = (
        "v1: mean squared cosine of the principal angles between the top min(10, rank) "
        "eigenvectors of two conditions; _first, _last: cosine of the smallest and the largest "
        "angle; delete-group jackknife, bias corrected; bands: spans of as many random "
        "directions, isotropic and of the base covariance"
    )
    REPORTS = ("subspace_overlap", "subspace_overlap_first", "subspace_overlap_last")
    AXIS_LABEL = "mean squared cosine of principal angles (0 to 1)"
    NEEDS_AGAINST = True
    IS_SPECTRAL = True

    def prepare(self, sample: Sample, against: Sample | None, centred: bool) -> list[Computation]:
        """Return what computes each value."""
        angles = cache(partial(_find_angles, sample, against, centred))
        return [
            partial(_measure_angles, angles, lambda cosines: np.square(cosines).mean(axis=-1)),
            partial(_measure_angles, angles, lambda cosines: cosines[..., 0]),
            partial(_measure_angles, angles, lambda cosines: cosines[..., -1]),
        ]


def _measure_angles(
    angles: Callable[[], Angles], number_of: Callable[[Cosines], np.ndarray]
) -> evaluation.Measured:
    """Measure a number made of cosines, with its bands, and without each group."""
    whole, counts = angles().whole, angles().counts
    left_out = np.array([float(number_of(cosines)) for cosines in angles().left_out])
    estimate = jackknife(float(number_of(whole)), left_out, counts, correct=True)
    random, base = angles().random, angles().base
    return evaluation.Measured(
        estimate=estimate.within(0.0, 1.0),
        num_rows=angles().num_rows,
        groups=angles().numbers,
        null=Band.of_draws(number_of(random)),
        base_null=None if base is None else Band.of_draws(number_of(base)),
    )


def _find_angles(sample: Sample, against: Sample | None, centred: bool) -> Angles:
    other = evaluation.require_against(against)
    pair = evaluation.require_spectra(sample, centred), evaluation.require_spectra(other, centred)
    places = [_places(half) for half in (sample, other)]
    numbers = sorted(places[0].keys() | places[1].keys())
    for num_groups in (len(numbers), *(spectra.num_groups for spectra in pair)):
        evaluation.require_groups(num_groups, 2)

    def cosines(number: int | None) -> Cosines:
        """Return those without a group; a condition that lacks the group keeps all of its own."""
        without = [None if number is None else place.get(number) for place in places]
        axes = [s.of(centred, group).axes for s, group in zip(pair, without, strict=True)]
        kept = principal_cosines(*axes)
        return kept if len(kept) else np.array([np.nan])  # one group held all the variance

    counts = np.array(
        [
            [spectra.counts[place[number]] if number in place else 0.0 for number in numbers]
            for spectra, place in zip(pair, places, strict=True)
        ]
    )
    sizes = [spectra.of(centred).axes.shape[1] for spectra in pair]
    return Angles(
        whole=cosines(None),
        left_out=[cosines(number) for number in numbers],
        counts=counts[0] + counts[1],
        numbers=numbers,
        num_rows=int(counts[0].sum()),
        random=random_angles(*sizes, pair[0].dimension),
        base=base_angles(sample.base, other.base, *sizes),
    )


def _places(sample: Sample) -> dict[int, int]:
    """Map each prompt group with rows to its place among them."""
    return {number: place for place, number in enumerate(sample.filled)}
