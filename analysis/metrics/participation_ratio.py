"""How many directions share the variance: (sum of eigenvalues)^2 / sum of their squares."""

from functools import partial
from math import exp, log

import numpy as np
from jaxtyping import Float64

from analysis.evaluation import (
    Measured,
    UnmeasurableError,
    evaluate,
    require_energy,
    require_groups,
    require_moments,
)
from analysis.intervals import Estimate, jackknife
from analysis.metric import Value
from analysis.moments import Moments
from analysis.scatter import inner_products
from analysis.spectra import Spectra
from analysis.status import Status
from analysis.summary import Sample

DEFINITION = (
    "v1: (tr C)^2 / tr C^2, both by crossing prompt groups, each covariance about its group's own "
    "mean (uncentred: second moment); _plugin: of all rows; jackknife of the logarithm"
)
NEEDS_AGAINST = False
REPORTS = ("participation_ratio", "participation_ratio_plugin")
AXIS_LABEL = "participation ratio (1 to d)"


def measure(sample: Sample, against: Sample | None) -> list[Value]:
    """Corrected and plug-in, uncentred and centred."""
    estimators = zip(REPORTS, (crossed, plugin), strict=True)
    return [
        evaluate(name, DEFINITION, centred, sample, partial(estimator, sample, centred))
        for name, estimator in estimators
        for centred in (False, True)
    ]


def crossed(sample: Sample, centred: bool) -> Measured:
    """Mean over g != h of tr C_g tr C_h, over mean of tr(C_g C_h).

    tr C^2 of an estimated covariance is too large by a term in 1/N; independent groups have none.
    """
    groups = [m for m in require_moments(sample).values() if m.num_rows >= 1 + centred]
    require_groups(len(groups), 2)
    traces = np.array([group.trace(centred) for group in groups])
    require_energy(traces)
    products = _covariance_products(groups, centred)
    whole = traces.sum() ** 2 - np.square(traces).sum(), products.sum() - np.trace(products)
    if not min(whole) > 0:
        raise UnmeasurableError("groups share no variance", Status.BELOW_NOISE_FLOOR)

    rest = traces.sum() - traces, np.square(traces).sum() - np.square(traces)
    above = np.square(rest[0]) - rest[1]
    below = whole[1] - 2 * (products.sum(axis=1) - np.diag(products))
    # Every group counts the same in these means, whatever its rows, so the jackknife too.
    estimate = _log_jackknife(whole[0] / whole[1], above, below, None)
    num_rows = sum(group.num_rows for group in groups)
    return Measured(estimate=estimate, num_rows=num_rows, num_groups=len(groups))


def plugin(sample: Sample, centred: bool) -> Measured:
    """The ratio of the covariance of all rows, which grows with their number."""
    spectra = Spectra.of(list(require_moments(sample).values()), centred)
    traces = np.array([scatter.trace() for scatter in spectra.scatters])
    require_energy(traces)
    products = inner_products(spectra.scatters)
    whole = float(traces.sum() ** 2 / products.sum())
    above = traces.sum() - traces
    below = products.sum() - 2 * products.sum(axis=1) + np.diag(products)
    if centred and len(traces) > 1:
        # About the mean of the rows that are left: M - n s s^T, s the shift of that mean.
        rows_left = spectra.counts.sum() - spectra.counts
        shifts = np.stack([spectra.mean_shift(group) for group in range(len(traces))])
        lengths = np.square(shifts).sum(axis=1)
        along = spectra.energies(shifts.T)
        left_along = along.sum(axis=0) - np.diag(along)
        above = above - rows_left * lengths
        below = below - 2 * rows_left * left_along + np.square(rows_left * lengths)
    estimate = _log_jackknife(whole, np.square(above), below, spectra.counts)
    num_rows = int(spectra.counts.sum())
    return Measured(estimate=estimate, num_rows=num_rows, num_groups=len(traces))


def _covariance_products(
    groups: list[Moments], centred: bool
) -> Float64[np.ndarray, "groups groups"]:
    """tr(C_g C_h) of the groups' own covariances."""
    zero = np.zeros_like(groups[0].mean)
    scatters = [group.scatter if centred else group.about(zero) for group in groups]
    degrees = np.array([float(group.num_rows - centred) for group in groups])
    return inner_products(scatters) / np.outer(degrees, degrees)


def _log_jackknife(
    whole: float,
    above: Float64[np.ndarray, " groups"],
    below: Float64[np.ndarray, " groups"],
    counts: Float64[np.ndarray, " groups"] | None,
) -> Estimate:
    """Jackknife of the logarithm of a ratio (94 % coverage; on the ratio itself it is skewed)."""
    if not (np.minimum(above, below) > 0).all():
        return Estimate(value=whole)
    return jackknife(log(whole), np.log(above / below), counts).map(exp)
