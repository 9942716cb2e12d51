"""Whether the offset of a dialogue's first turn persists in later ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import numpy as np
from jaxtyping import Float64

from analysis.estimates import evaluation
from analysis.estimates.intervals import jackknife
from analysis.metric import Computation, Metric
from analysis.rows.crossing import cross_groups, sum_by_group
from analysis.rows.summary import Sample
from analysis.status import Status


class TurnDrift(Metric):
    """1 at turn 1, 0 once the offset is gone, below 0 where it is reversed.

    Rotating or scaling the rows of all turns together changes nothing.
    """

    DEFINITION = (
        "v1: projection of the mean row of this turn on the mean row of turn 1, in units of the "
        "latter's length, inner products only over pairs of rows of different prompt groups; "
        "_slope: of the least-squares line through turns 1 to this one, per turn; delete-group "
        "jackknife"
    )
    REPORTS = ("turn_drift", "turn_drift_slope")
    AXIS_LABEL = "projection on the first turn's mean offset (1 at turn 1)"

    def prepare(self, sample: Sample, against: Sample | None, centred: bool) -> list[Computation]:
        """Return what computes each value."""
        projections = cache(partial(_find_projections, sample))
        return [partial(_measure_projection, projections), partial(_measure_slope, projections)]


Projections = tuple[Float64[np.ndarray, "turns leave"], list[int], dict[int, float]]
"""Of every turn, with all groups and without each; the turns; rows of each group at this turn."""


def _measure_projection(find: Callable[[], Projections]) -> evaluation.Measured:
    projections, _, rows = find()
    return _jackknife(projections[-1], rows)


def _measure_slope(find: Callable[[], Projections]) -> evaluation.Measured:
    projections, turns, rows = find()
    if len(turns) < 2:
        raise evaluation.UnmeasurableError("a slope needs two turns")
    steps = np.array(turns) - np.mean(turns)
    return _jackknife(steps @ projections / (steps @ steps), rows)


def _jackknife(
    numbers: Float64[np.ndarray, " leave"], rows: dict[int, float]
) -> evaluation.Measured:
    counts = np.array(list(rows.values()))
    estimate = jackknife(float(numbers[0]), numbers[1:], counts)
    return evaluation.Measured(estimate=estimate, num_rows=int(counts.sum()), groups=list(rows))


def _find_projections(sample: Sample) -> Projections:
    if sample.turn is None:
        raise evaluation.UnmeasurableError("the position is no dialogue turn", Status.NOT_RUN)
    samples = {**sample.earlier, sample.turn: sample}
    if 1 not in samples:
        raise evaluation.UnmeasurableError("the rows of turn 1 are not given", Status.NOT_RUN)
    turns = sorted(samples)
    for turn in turns:
        evaluation.require_finite(samples[turn])
    moments = [evaluation.require_moments(samples[turn]) for turn in turns]
    numbers = sorted(moments[-1])
    evaluation.require_groups(len(numbers), 2)
    # Groups whose dialogues end earlier are left out of every turn: who is left must not drift.
    halves = [
        sum_by_group({n: m for n, m in own.items() if n in numbers}, numbers) for own in moments
    ]
    evaluation.require_energy(np.square(halves[0][0]).sum(axis=1))
    evaluation.require_energy(np.square(halves[-1][0]).sum(axis=1))
    square = cross_groups(*halves[0], *halves[0])
    if not square[0] > 0:
        reason = "turn 1 has no mean offset: groups do not agree on it"
        raise evaluation.UnmeasurableError(reason, Status.BELOW_NOISE_FLOOR)
    with np.errstate(invalid="ignore", divide="ignore"):
        projections = np.stack([cross_groups(*half, *halves[0]) / square for half in halves])
    return projections, turns, dict(zip(numbers, halves[-1][1].tolist(), strict=True))
