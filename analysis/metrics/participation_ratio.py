"""How many directions share the variance: (sum of eigenvalues)^2 / sum of their squares."""

from __future__ import annotations

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


class ParticipationRatio(Metric):
    """Ratio without what few rows add to it.

    Gao et al. 2017, *A theory of multineuronal dimensionality, dynamics and measurement*. 1 to d,
    with noise about it; rotating or scaling all rows changes nothing. The ratio of the covariance
    of all rows at once reads d / (1 + d / N) of isotropic rows (Marchenko and Pastur 1967), and
    under heavy tails no interval of it held: one row far out decides it.
    """

    DEFINITION = (
        "v4: (tr C)^2 / tr C^2, both by crossing the scatters of prompt groups, each about its"
        " group's own mean (uncentred: second moment); jackknife of the logarithm, corrected for"
        " bias, out to the interval without the correction"
    )
    REPORTS = ("participation_ratio",)
    AXIS_LABEL = "participation ratio (1 to d)"
    HEADLINES = {"participation_ratio": 130}
    IS_SPECTRAL = True

    def prepare(self, sample: Sample, against: Sample | None, centred: bool) -> list[Computation]:
        """Return what computes each value."""
        return [partial(measure_crossed, sample, centred)]


def measure_crossed(sample: Sample, centred: bool) -> evaluation.Measured:
    """Divide the sum over g != h of tr M_g tr M_h by the sum of tr(M_g M_h), M_g scatters.

    tr C^2 of an estimated covariance is too large by a term in 1/N; independent groups have none.
    Both sums are of rows times rows: as groups differ in size, a mean of products of covariances
    scatters 10 to 20 % more.
    """
    spectra = evaluation.require_spectra(sample, centred)
    usable = spectra.counts >= 1 + centred
    evaluation.require_groups(int(usable.sum()), 2)
    degrees = (spectra.counts - centred)[usable]
    traces, products = _own_traces_and_products(spectra, centred)
    traces, products = traces[usable], products[np.ix_(usable, usable)]
    evaluation.require_energy(traces)
    whole = traces.sum() ** 2 - np.square(traces).sum(), products.sum() - np.trace(products)
    if not min(whole) > 0:
        raise evaluation.UnmeasurableError("groups share no variance", Status.BELOW_NOISE_FLOOR)

    rest = traces.sum() - traces, np.square(traces).sum() - np.square(traces)
    above = np.square(rest[0]) - rest[1]
    below = whole[1] - 2 * (products.sum(axis=1) - np.diag(products))
    ratio = whole[0] / whole[1]
    plain, estimate = (
        _log_jackknife(ratio, above, below, degrees, correct) for correct in (False, True)
    )
    num_rows = int(spectra.counts[usable].sum())
    groups = [number for number, is_usable in zip(sample.filled, usable, strict=True) if is_usable]
    # A ratio of few rows is skewed: out to the ends of the interval without the correction.
    return evaluation.Measured(estimate=estimate.joined(plain), num_rows=num_rows, groups=groups)


def _own_traces_and_products(
    spectra: Spectra, centred: bool
) -> tuple[Float64[np.ndarray, " groups"], Float64[np.ndarray, "groups groups"]]:
    """Return tr M_g and tr(M_g M_h), each scatter about its group's own mean, or about zero."""
    if centred:
        return spectra.own_traces, spectra.own_products
    return spectra.traces(False), spectra.products(False)


def _log_jackknife(
    whole: float,
    above: Float64[np.ndarray, " groups"],
    below: Float64[np.ndarray, " groups"],
    counts: Float64[np.ndarray, " groups"],
    correct: bool,
) -> Estimate:
    """Jackknife the logarithm of a ratio (94 % coverage; on the ratio itself it is skewed)."""
    if not (np.minimum(above, below) > 0).all():
        return Estimate(value=whole)
    return jackknife(log(whole), np.log(above / below), counts, correct).map(exp)
