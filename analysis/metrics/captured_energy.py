"""How much of one condition's offsets lies in the leading subspace of another's."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from jaxtyping import Float64

from analysis.evaluation import (
    Measured,
    UnmeasurableError,
    evaluate,
    require_against,
    require_energy,
    require_groups,
    require_moments,
)
from analysis.intervals import jackknife
from analysis.metric import Value
from analysis.moments import Moments
from analysis.spectra import Spectra
from analysis.status import Status
from analysis.summary import Sample

NUM_AXES = 10
DEFINITION = (
    "v1: share of squared norm in the top min(10, d, rank) eigenvectors of the other condition, "
    "these from all groups but g, the energy of g, pooled over g; _heldout: of the other condition "
    "itself; _ratio: of the two; centred: rows minus the mean of the groups but g"
)
NEEDS_AGAINST = True
REPORTS = ("captured_energy", "captured_energy_heldout", "captured_energy_ratio")
AXIS_LABEL = "share of energy in the other condition's top 10 axes (0 to 1)"


@dataclass(frozen=True, kw_only=True, eq=False)
class Captured:
    """Energy of one condition, by group, inside subspaces that other groups gave and in all."""

    inside: Float64[np.ndarray, " groups"]
    """Squared norm of each group's rows inside the subspace from the other groups."""
    total: Float64[np.ndarray, " groups"]
    """Squared norm of each group's rows."""
    counts: Float64[np.ndarray, " groups"]
    """Rows of each group."""

    def share(self) -> float:
        """Energy inside over energy in all, groups pooled."""
        return float(self.inside.sum() / self.total.sum())

    def shares_left(self) -> Float64[np.ndarray, " groups"]:
        """The share without each group; the subspaces stay what they were.

        Finding them again would take a decomposition per pair of groups for a second-order change.
        """
        total = self.total.sum() - self.total
        nothing = np.full(len(total), np.nan)
        inside = np.maximum(self.inside.sum() - self.inside, 0.0)
        return np.asarray(np.divide(inside, total, out=nothing, where=total > 0))


def measure(sample: Sample, against: Sample | None) -> list[Value]:
    """Three numbers, uncentred and centred: k/d is no null, the held-out share of itself is."""
    captured = cache(partial(_capture, sample, against))
    return [
        evaluate(name, DEFINITION, centred, sample, partial(compute, captured, centred))
        for centred in (False, True)
        for name, compute in zip(REPORTS, (_energy, _heldout, _ratio), strict=True)
    ]


Pair = tuple[Captured, Captured]


def _energy(captured: Callable[[bool], Pair], centred: bool) -> Measured:
    return _measured_share(captured(centred)[0])


def _heldout(captured: Callable[[bool], Pair], centred: bool) -> Measured:
    return _measured_share(captured(centred)[1])


def _measured_share(captured: Captured) -> Measured:
    filled = captured.counts > 0
    estimate = jackknife(
        captured.share(), captured.shares_left()[filled], captured.counts[filled]
    ).within(0.0, 1.0)
    num_groups = int(filled.sum())
    return Measured(estimate=estimate, num_rows=int(captured.counts.sum()), num_groups=num_groups)


def _ratio(captured: Callable[[bool], Pair], centred: bool) -> Measured:
    sample, other = captured(centred)
    if not other.share() > 0:
        reason = "the other condition's own held-out share is zero"
        raise UnmeasurableError(reason, Status.BELOW_NOISE_FLOOR)
    with np.errstate(divide="ignore", invalid="ignore"):
        left_out = sample.shares_left() / other.shares_left()
    counts = sample.counts + other.counts
    estimate = jackknife(sample.share() / other.share(), left_out, counts)
    num_rows = int(sample.counts.sum())
    return Measured(estimate=estimate, num_rows=num_rows, num_groups=len(counts))


def _capture(sample: Sample, against: Sample | None, centred: bool) -> Pair:
    """Energies of the sample, and of the condition that gives the subspaces, in these."""
    pair = require_moments(sample), require_moments(require_against(against))
    for half in pair:
        require_groups(len(half), 2)
    spectra = Spectra.of(list(pair[1].values()), centred)
    require_energy(scatter.trace() for scatter in spectra.scatters)
    places = {number: place for place, number in enumerate(pair[1])}
    numbers = sorted(pair[0].keys() | pair[1].keys())
    subspaces = [spectra.axes(NUM_AXES, places.get(number)) for number in numbers]
    captured = tuple(_energies(half, numbers, subspaces, centred) for half in pair)
    require_energy(captured[0].total)
    return captured[0], captured[1]


def _energies(
    moments: dict[int, Moments],
    numbers: list[int],
    subspaces: list[Float64[np.ndarray, "d k"]],
    centred: bool,
) -> Captured:
    """Energy of each group about zero, or about the mean of the rows outside the group."""
    empty = Moments.empty(subspaces[0].shape[0])
    groups = [moments.get(number, empty) for number in numbers]
    counts = np.array([float(group.num_rows) for group in groups])
    points = np.zeros((len(groups), len(empty.mean)))
    if centred:
        sums = np.stack([group.mean for group in groups]) * counts[:, None]
        points = (sums.sum(axis=0) - sums) / (counts.sum() - counts)[:, None]
    scatters = [group.about(point) for group, point in zip(groups, points, strict=True)]
    inside = [s.energy(axes).sum() for s, axes in zip(scatters, subspaces, strict=True)]
    total = [scatter.trace() for scatter in scatters]
    return Captured(inside=np.array(inside), total=np.array(total), counts=counts)
