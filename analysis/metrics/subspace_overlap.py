"""Whether two conditions move within the same subspace: principal angles of their leading axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from jaxtyping import Float64

from analysis.estimates import evaluation
from analysis.estimates.intervals import jackknife
from analysis.estimates.leading_axes import LearnedAxes
from analysis.estimates.nulls import Band, base_angles, principal_cosines, random_angles
from analysis.metric import Computation, Metric
from analysis.rows.summary import Sample
from analysis.status import Status

LEAST_RESOLVED = 0.85
"""Share of the mean squared cosine that axes of so many rows must keep, for it to be answered; of
the squared cosines at the ends, which one axis decides, the axis as well."""
SLOWNESS = 1.4
"""Power of the odds that are missed by which rows must grow: 1 where loss falls as 1 / N."""
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
    resolved: Resolved
    """How well the rows tell the population's leading axes."""
    random: Cosines
    """Of pairs of random subspaces."""
    base: Cosines | None
    """Of pairs spanned by directions of the base covariance."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Resolved:
    """By how much the noise in learned axes lowers squared cosines between two subspaces."""

    least: float
    """Factor of their mean, if what lies beside the leading axes agrees in nothing and the noise of
    both conditions is not the same. Rows of the same prompts have much of it in common: then the
    factor is nearer to 1."""
    first: float
    """Factor of the squared cosine of the smallest angle, from how told the axes are that make the
    two directions which it is between."""
    worst: float
    """That of the worst told pair."""
    num_rows: int
    """Rows of the smaller condition."""

    @classmethod
    def of(
        cls,
        pair: Sequence[LearnedAxes],
        axes: Sequence[Float64[np.ndarray, "d _"]],
        num_rows: int,
    ) -> Resolved:
        """Take how the learned axes of two conditions lie, and the axes."""
        first, second = (learned.overlaps for learned in pair)
        common = first.sum(axis=0) * second.sum(axis=0)
        lead = min(learned.lead for learned in pair)
        told = [learned.overlaps[:lead, :lead].sum(axis=1) for learned in pair]
        left, _, right = np.linalg.svd(axes[0].T @ axes[1])
        made_of = np.square(left[:lead, 0]), np.square(right[0, :lead])
        return cls(
            least=float(common[:lead].sum() / lead),
            first=float(np.prod([m @ t[: len(m)] for m, t in zip(made_of, told, strict=True)])),
            worst=float(told[0].min() * told[1].min()),
            num_rows=num_rows,
        )

    def require(self, factor: float, least: float) -> None:
        """Refuse a number whose factor is too small to be taken off.

        How many rows it takes is a guess: what is lost falls more slowly than 1 / N while axes are
        hardly told. Of four spectra of 64 dimensions it is 0.7 to 1.6 times the true number.
        """
        if factor >= least:
            return
        odds = max(factor, 0.01) / (1 - factor)
        enough = self.num_rows * (least / (1 - least) / odds) ** SLOWNESS
        raise evaluation.UnmeasurableError(
            f"axes learned from {self.num_rows} rows tell {factor:.0%} of it, about {enough:,.0f} "
            "rows are needed",
            Status.TOO_FEW_ROWS,
        )


class SubspaceOverlap(Metric):
    """Cosines of principal angles (Bjorck and Golub 1973) between populations' leading axes.

    0 to 1; rotating both conditions together or scaling either changes nothing. Noise in the axes
    lowers them, by as much as axes of so many rows of the same spectra are known to miss
    (`leading_axes.py`); where that is too much, or where the tenth axis does not stand out from the
    eleventh, the rows are too few.
    """

    DEFINITION = (
        "v6: mean squared cosine of the principal angles between the top min(10, rank) population "
        "axes of two conditions, from those of the rows' axes by half of what axes of so many "
        "rows, as unequal, lose, refused where they lose over 15 %; _first, _last: cosine of the "
        "smallest angle, which loses what its own axes do, and of the largest; delete-group "
        "jackknife, added to that half; bands: spans of as many random directions, isotropic and "
        "of the base covariance"
    )
    REPORTS = ("subspace_overlap", "subspace_overlap_first", "subspace_overlap_last")
    AXIS_LABEL = "mean squared cosine of principal angles (0 to 1)"
    RANGES = dict.fromkeys(REPORTS, (0.0, 1.0))
    NEEDS_AGAINST = True
    IS_SPECTRAL = True

    def prepare(self, sample: Sample, against: Sample | None, centred: bool) -> list[Computation]:
        """Return what computes each value."""
        angles = cache(partial(_find_angles, sample, against, centred))
        return [
            partial(_measure_mean, angles),
            partial(_measure_end, angles, 0),
            partial(_measure_end, angles, -1),
        ]


def _measure_mean(find: Callable[[], Angles]) -> evaluation.Measured:
    resolved = find().resolved
    resolved.require(resolved.least, LEAST_RESOLVED)

    def number_of(cosines: Cosines) -> np.ndarray:
        return np.asarray(np.square(cosines).mean(axis=-1))

    return _measure_angles(find(), number_of, (1.0, 1 / resolved.least))


def _measure_end(find: Callable[[], Angles], place: int) -> evaluation.Measured:
    resolved = find().resolved
    factor = resolved.worst if place else resolved.first
    resolved.require(resolved.least, LEAST_RESOLVED)
    resolved.require(factor, LEAST_RESOLVED)
    return _measure_angles(find(), lambda cosines: cosines[..., place], (1.0, factor**-0.5))


def _measure_angles(
    angles: Angles, number_of: Callable[[Cosines], np.ndarray], factors: tuple[float, float]
) -> evaluation.Measured:
    """Measure a number made of cosines, with its bands, and without each group.

    Args:
        angles: the cosines.
        number_of: makes the number of them.
        factors: by which noise lowers it, of two models, either of which may be all there is: to
            what they differ by chance is added whole.
    """
    whole, counts = float(number_of(angles.whole)), angles.counts
    left_out = np.array([float(number_of(cosines)) for cosines in angles.left_out])
    factor = sum(factors) / 2
    estimate = jackknife(factor * whole, factor * left_out, counts)
    apart = abs(factors[0] - factors[1]) / 2 * whole
    return evaluation.Measured(
        estimate=estimate.extended(apart, apart).within(0.0, 1.0),
        num_rows=angles.num_rows,
        groups=angles.numbers,
        null=Band.of_draws(number_of(angles.random)),
        base_null=None if angles.base is None else Band.of_draws(number_of(angles.base)),
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
        resolved=Resolved.of(
            [LearnedAxes.of_rows(spectra, centred) for spectra in pair],
            [spectra.of(centred).axes for spectra in pair],
            int(counts.sum(axis=1).min()),
        ),
        base=base_angles(sample.base, other.base, *sizes),
    )


def _places(sample: Sample) -> dict[int, int]:
    """Map each prompt group with rows to its place among them."""
    return {number: place for place, number in enumerate(sample.filled)}
