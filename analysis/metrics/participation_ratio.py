"""How many directions share the variance: (sum of eigenvalues)^2 / sum of their squares."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from math import exp

import numpy as np
from jaxtyping import Float64

from analysis.estimates import evaluation
from analysis.estimates.intervals import Estimate, jackknife, left_out_weights
from analysis.metric import Computation, Metric
from analysis.rows.crossed_covariance import LEAST_GROUPS, CrossedCovariance
from analysis.rows.spectra import Spectra
from analysis.rows.summary import Sample
from analysis.status import Status


class ParticipationRatio(Metric):
    """Ratio without what few rows add to it.

    Gao et al. 2017, *A theory of multineuronal dimensionality, dynamics and measurement*. 1 to d;
    rotating or scaling all rows changes nothing. The ratio of the covariance of all rows at once
    reads d / (1 + d / N) of isotropic rows (Marchenko and Pastur 1967), and under heavy tails no
    interval of it held: one row far out decides it.
    """

    DEFINITION = (
        "v5: (tr C)^2 / tr C^2, both over differences of rows, all of different prompt groups"
        " (uncentred: second moments of different groups); jackknife of the logarithm, corrected"
        " for bias, out to the interval without the correction; within 1 and d"
    )
    REPORTS = ("participation_ratio",)
    AXIS_LABEL = "participation ratio (1 to d)"
    RANGES = {"participation_ratio": (1.0, None)}
    HEADLINES = {"participation_ratio": 130}
    IS_SPECTRAL = True

    def prepare(self, sample: Sample, against: Sample | None, centred: bool) -> list[Computation]:
        """Return what computes each value."""
        return [partial(measure_crossed, sample, centred)]


def measure_crossed(sample: Sample, centred: bool) -> evaluation.Measured:
    """Divide (tr M)^2 by tr M^2, both over pairs of different groups, and jackknife the logarithm.

    tr M^2 of an estimated M is too large by a term in 1/N; independent groups have none.
    """
    spectra = evaluation.require_spectra(sample, centred)
    evaluation.require_groups(spectra.num_groups, LEAST_GROUPS if centred else 2)
    squares = _about_mean(spectra) if centred else _about_zero(spectra)
    if not squares[:, 0].min() > 0:
        raise evaluation.UnmeasurableError("groups share no variance", Status.BELOW_NOISE_FLOOR)
    plain, estimate = (
        _log_jackknife(squares, spectra.counts, correct) for correct in (False, True)
    )
    # A ratio of few rows is skewed: out to the ends of the interval without the correction.
    joined = estimate.joined(plain)
    # Numbers without each group stay as they are: of a flat spectrum all would be d, and a fit over
    # sizes would take that for certain.
    estimate = replace(joined.within(1.0, float(spectra.dimension)), left_out=joined.left_out)
    num_rows = int(spectra.counts.sum())
    return evaluation.Measured(estimate=estimate, num_rows=num_rows, groups=sample.filled)


def _about_mean(spectra: Spectra) -> Float64[np.ndarray, "2 leave"]:
    """Return (tr C)^2 and tr C^2, of all groups and without each, times one number each time."""
    covariance = CrossedCovariance.of(spectra)
    kept = _kept_groups(spectra).astype(bool)
    return np.array([covariance.squares(groups) for groups in kept]).T


def _about_zero(spectra: Spectra) -> Float64[np.ndarray, "2 leave"]:
    """Return the same of the second moment: sums over g != h of tr M_g tr M_h and tr(M_g M_h).

    Both sums are of rows times rows: as groups differ in size, a mean of products of moments
    scatters 10 to 20 % more.
    """
    traces, kept = spectra.traces(False), _kept_groups(spectra)
    apart = 1 - np.eye(len(traces))
    pairs = np.outer(traces, traces) * apart, spectra.products(False) * apart
    # Never a difference of large sums: one row far out would leave nothing but rounding.
    return np.stack([np.einsum("lg,gh,lh->l", kept, of_pairs, kept) for of_pairs in pairs])


def _kept_groups(spectra: Spectra) -> Float64[np.ndarray, "leave groups"]:
    """Return which groups count, as 1: all, then all but each."""
    number = spectra.num_groups
    return np.concatenate([np.ones((1, number)), left_out_weights(number)])


def _log_jackknife(
    squares: Float64[np.ndarray, "2 leave"], counts: Float64[np.ndarray, " groups"], correct: bool
) -> Estimate:
    """Jackknife the logarithm of a ratio (94 % coverage; on the ratio itself it is skewed)."""
    above, below = squares
    if not squares.min() > 0:
        return Estimate(value=float(above[0] / below[0]))
    logarithms = np.log(above / below)
    return jackknife(float(logarithms[0]), logarithms[1:], counts, correct).map(exp)
