"""How many directions as strong as the first would hold all the variance."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from math import exp, log

import numpy as np
from jaxtyping import Float64

from analysis.estimates import evaluation
from analysis.estimates.intervals import Estimate, jackknife
from analysis.metric import Computation, Metric
from analysis.rows.spectra import Spectra
from analysis.rows.summary import Sample
from analysis.status import Status

TEACHING = 2**0.5
"""By how much the crossed ratio varies more than with axes fixed: every group is judged and also
teaches, so that each pair of groups enters twice: twice the variance."""
UNDECIDED = 1.1
"""How much is added where a second direction is as strong as the first, so that chance decides
which of them is judged: of 64 equal ones and 256 to 1,024 rows the ratio varies 2.5 times as much
as with axes fixed, of eigenvalues i^-0.7 and 512 rows as much. Falls as the fourth power of the
second eigenvalue over the first."""


class StableRank(Metric):
    """Rudelson and Vershynin 2007, *Sampling from large matrices*.

    1 to d; rotating or scaling all rows changes nothing. The largest eigenvalue of the rows at hand
    is larger than the population's, and no jackknife sees it where the spectrum is flat: 50 equal
    ones read 22 % low at 960 rows, crossed 0.3 %. What crossing loses while the axis is being
    learned makes it read high: 5 % at 80 rows with one strong direction, 1 % at 960.
    """

    DEFINITION = (
        "v6: sum of eigenvalues over the largest, |A|_F^2 / |A|_2^2, the largest as the energy of"
        " each prompt group along the leading axis of the others; interval: delete-group "
        "jackknife of the logarithm, axes fixed, times sqrt(2) + 1.1 (second over first"
        " eigenvalue)^4, joined with those of the ratio of all rows, its bias corrected and not; "
        "_share: over d"
    )
    REPORTS = ("stable_rank", "stable_rank_share")
    AXIS_LABEL = "stable rank (1 to d)"
    RANGES = {"stable_rank": (1.0, None), "stable_rank_share": (0.0, 1.0)}
    IS_SPECTRAL = True

    def prepare(self, sample: Sample, against: Sample | None, centred: bool) -> list[Computation]:
        """Return what computes each value."""
        return [partial(_measure_rank, sample, centred), partial(_measure_share, sample, centred)]


def log_stable_rank(eigenvalues: Float64[np.ndarray, " rank"]) -> float:
    """Return the logarithm of the stable rank.

    Args:
        eigenvalues: all above 0, largest first.

    Returns:
        The natural logarithm.
    """
    return log(float(eigenvalues.sum() / eigenvalues[0]))


def _measure_rank(sample: Sample, centred: bool) -> evaluation.Measured:
    spectra = evaluation.require_spectra(sample, centred)
    evaluation.require_groups(spectra.num_groups, 2)
    traces, along = spectra.traces(centred), _crossed_energies(spectra, centred)
    if not along.sum() > 0:
        raise evaluation.UnmeasurableError("groups share no variance", Status.BELOW_NOISE_FLOOR)
    rest = along.sum() - along
    left_out = np.full(len(along), np.nan)
    if (rest > 0).all():
        left_out = np.log((traces.sum() - traces) / rest)
    whole = log(float(traces.sum() / along.sum()))
    left_out = whole + _teaching(spectra.of(centred).eigenvalues) * (left_out - whole)
    crossed = jackknife(whole, left_out, spectra.counts).map(exp)
    corrected, plain = (_of_all_rows(spectra, centred, correct) for correct in (True, False))
    return evaluation.Measured(
        # One errs high, the other low.
        estimate=crossed.joined(corrected).joined(plain).within(1.0, float(spectra.dimension)),
        num_rows=int(spectra.counts.sum()),
        groups=sample.filled,
    )


def _teaching(eigenvalues: Float64[np.ndarray, " rank"]) -> float:
    second = eigenvalues[1] / eigenvalues[0] if len(eigenvalues) > 1 else 0.0
    return float(TEACHING + UNDECIDED * second**4)


def _of_all_rows(spectra: Spectra, centred: bool, correct: bool) -> Estimate:
    whole = log_stable_rank(spectra.of(centred).eigenvalues)
    values = [spectra.of(centred, group).eigenvalues for group in range(spectra.num_groups)]
    left_out = np.array([log_stable_rank(own) if len(own) else np.nan for own in values])
    return jackknife(whole, left_out, spectra.counts, correct=correct).map(exp)


def _measure_share(sample: Sample, centred: bool) -> evaluation.Measured:
    """Measure the rank over d: a number of the population is of all its directions."""
    rank, most = _measure_rank(sample, centred), sample.spectra.dimension
    estimate = rank.estimate.map(lambda number: number / most).within(0.0, 1.0)
    return replace(rank, estimate=estimate)


def _crossed_energies(spectra: Spectra, centred: bool) -> Float64[np.ndarray, " groups"]:
    """Return each group's energy along the leading axis of the others; 0 where these have none."""
    axes = np.zeros((spectra.dimension, spectra.num_groups))
    for group in range(spectra.num_groups):
        leading = spectra.of(centred, group).axes[:, :1]
        axes[:, group] = leading.sum(axis=1)
    return np.asarray(np.diag(spectra.energies(centred, axes)))
