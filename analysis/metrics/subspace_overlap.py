"""Whether two conditions move within the same subspace: principal angles of their leading axes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from jaxtyping import Float64

from analysis.estimates.evaluation import (
    Measured,
    evaluate,
    require_against,
    require_groups,
    require_spectra,
)
from analysis.estimates.intervals import jackknife
from analysis.estimates.nulls import Band, base_angles, principal_cosines, random_angles
from analysis.measurement import Measurement
from analysis.rows.spectra import Spectra
from analysis.rows.summary import Sample

DEFINITION = (
    "v1: mean squared cosine of the principal angles between the top min(10, rank) eigenvectors of "
    "two conditions; _first, _last: cosine of the smallest and the largest angle; delete-group "
    "jackknife, bias corrected; bands: spans of as many random directions, isotropic and of the "
    "base covariance"
)
NEEDS_AGAINST = True
NEEDS_TOXIC = False
HEADLINES: Mapping[str, int] = {}
REPORTS = ("subspace_overlap", "subspace_overlap_first", "subspace_overlap_last")
AXIS_LABEL = "mean squared cosine of principal angles (0 to 1)"

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
    num_rows: int
    """Rows of the sample."""
    random: Cosines
    """Of pairs of random subspaces."""
    base: Cosines | None
    """Of pairs spanned by directions of the base covariance."""


def measure(sample: Sample, against: Sample | None) -> list[Measurement]:
    """Uncentred and centred; rotating both conditions together or scaling either changes nothing.

    Bjorck and Golub 1973. Noise in the axes lowers it: the jackknife takes most of that off while
    the tenth eigenvalue stands out from the eleventh.
    """
    angles = cache(partial(_angles, sample, against))
    return [
        evaluate(name, DEFINITION, centred, sample, partial(_estimate, angles, centred, number))
        for centred in (False, True)
        for name, number in zip(REPORTS, (_overlap, _first, _last), strict=True)
    ]


def _overlap(cosines: Cosines) -> Float64[np.ndarray, "..."]:
    return np.asarray(np.square(cosines).mean(axis=-1))


def _first(cosines: Cosines) -> Float64[np.ndarray, "..."]:
    return np.asarray(cosines[..., 0])


def _last(cosines: Cosines) -> Float64[np.ndarray, "..."]:
    return np.asarray(cosines[..., -1])


def _estimate(
    angles: Callable[[bool], Angles],
    centred: bool,
    number: Callable[[Cosines], Float64[np.ndarray, "..."]],
) -> Measured:
    found = angles(centred)
    left_out = np.array([float(number(cosines)) for cosines in found.left_out])
    estimate = jackknife(float(number(found.whole)), left_out, found.counts, correct=True)
    return Measured(
        estimate=estimate.within(0.0, 1.0),
        num_rows=found.num_rows,
        num_groups=len(found.counts),
        null=Band.of_draws(number(found.random)),
        base_null=None if found.base is None else Band.of_draws(number(found.base)),
    )


def _angles(sample: Sample, against: Sample | None, centred: bool) -> Angles:
    other = require_against(against)
    pair = require_spectra(sample, centred), require_spectra(other, centred)
    places = [_places(half) for half in (sample, other)]
    numbers = sorted(places[0].keys() | places[1].keys())
    require_groups(len(numbers), 2)
    for spectra in pair:
        require_groups(spectra.num_groups, 2)
    axes = [spectra.of(centred).axes for spectra in pair]
    sizes = axes[0].shape[1], axes[1].shape[1]

    def cosines(number: int | None) -> Cosines:
        own = [_axes(s, p, number, centred) for s, p in zip(pair, places, strict=True)]
        found = principal_cosines(own[0], own[1])
        return found if len(found) else np.array([np.nan])  # one group held all the variance

    counts = [_counts(s, p, numbers) for s, p in zip(pair, places, strict=True)]
    return Angles(
        whole=cosines(None),
        left_out=[cosines(number) for number in numbers],
        counts=counts[0] + counts[1],
        num_rows=int(counts[0].sum()),
        random=random_angles(*sizes, pair[0].dimension),
        base=base_angles(sample.base, other.base, *sizes),
    )


def _places(sample: Sample) -> dict[int, int]:
    """Prompt group -> its number among the groups with rows."""
    filled = [number for number, group in sample.groups.items() if group.num_rows]
    return {number: place for place, number in enumerate(filled)}


def _axes(
    spectra: Spectra, places: dict[int, int], without: int | None, centred: bool
) -> Float64[np.ndarray, "d k"]:
    """Axes without a group; of all where the condition lacks it."""
    return spectra.of(centred, None if without is None else places.get(without)).axes


def _counts(
    spectra: Spectra, places: dict[int, int], numbers: list[int]
) -> Float64[np.ndarray, " groups"]:
    found = [spectra.counts[places[number]] if number in places else 0.0 for number in numbers]
    return np.array(found)
