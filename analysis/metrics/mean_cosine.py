"""Whether two conditions share the direction of their mean offset."""

from __future__ import annotations

from functools import partial

import numpy as np

from analysis.estimates import evaluation
from analysis.estimates.intervals import jackknife
from analysis.estimates.nulls import base_cosine, random_cosine
from analysis.metric import Computation, Metric
from analysis.rows.crossing import cross_groups, sum_by_group
from analysis.rows.summary import Sample
from analysis.status import Status


class MeanCosine(Metric):
    """a.b / (|a||b|) of two means a, b, every product over pairs of different prompt groups only.

    The noise of each mean stays out of the norms, so nothing is attenuated (Spearman 1904, *The
    proof and measurement of association between two things*). -1 to 1; rotating both conditions
    together or scaling either changes nothing.
    """

    DEFINITION = (
        "v2: cosine of the mean rows of two conditions, inner product and both norms only over "
        "pairs of rows of different prompt groups, missing where a squared norm is not above 0 "
        "with and without each; delete-group jackknife; bands: two random "
        "directions, isotropic and of the base covariance"
    )
    REPORTS = ("mean_cosine",)
    AXIS_LABEL = "cosine of mean offsets (-1 to 1)"
    RANGES = {"mean_cosine": (-1.0, 1.0)}
    HEADLINES = {"mean_cosine": 170}
    NEEDS_AGAINST = True

    def prepare(self, sample: Sample, against: Sample | None, centred: bool) -> list[Computation]:
        """Return what computes each value."""
        return [partial(measure_cosine, sample, against)]


def measure_cosine(sample: Sample, other: Sample | None) -> evaluation.Measured:
    """Measure the cosine of two samples' means; raises UnmeasurableError as the metric says."""
    other = evaluation.require_against(other)
    pair = evaluation.require_moments(sample), evaluation.require_moments(other)
    numbers = sorted(pair[0].keys() | pair[1].keys())
    evaluation.require_groups(len(numbers), 2)
    (sums, counts), (other_sums, other_counts) = (sum_by_group(half, numbers) for half in pair)
    evaluation.require_energy(np.square(sums).sum(axis=1))
    evaluation.require_energy(np.square(other_sums).sum(axis=1))
    inner = cross_groups(sums, counts, other_sums, other_counts)
    square = cross_groups(sums, counts, sums, counts)
    other_square = cross_groups(other_sums, other_counts, other_sums, other_counts)
    # Also without any one group: where the rest do not agree, chance decides on a direction.
    known = np.append(square[1:], other_square[1:])
    if not min(square[0], other_square[0]) > 0 or (known <= 0).any():
        reason = "a mean offset is not distinguishable from zero: groups do not agree on it"
        raise evaluation.UnmeasurableError(reason, Status.BELOW_NOISE_FLOOR)
    with np.errstate(invalid="ignore", divide="ignore"):
        cosines = inner / np.sqrt(square * other_square)
    whole, left_out = float(cosines[0]), cosines[1:]
    estimate = jackknife(whole, left_out, counts + other_counts).within(-1.0, 1.0)
    return evaluation.Measured(
        estimate=estimate,
        num_rows=int(counts.sum()),
        groups=numbers,
        null=random_cosine(sums.shape[1]),
        base_null=base_cosine(sample.base, other.base),
    )
