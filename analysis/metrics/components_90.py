"""How many principal directions hold 90 % of the variance."""

from functools import partial

import numpy as np
from jaxtyping import Float64

from analysis.evaluation import Measured, evaluate, require_energy, require_moments
from analysis.intervals import MIN_GROUPS, Estimate, group_draws, percentile_interval
from analysis.metric import Value
from analysis.spectra import Spectra
from analysis.summary import Sample

SHARE = 0.9
DEFINITION = (
    "v1: least number of leading eigenvalues that sum to 90 % of all; group bootstrap of the "
    "energies along the sample's own axes"
)
NEEDS_AGAINST = False
REPORTS = ("components_90",)
AXIS_LABEL = "components for 90 % of the variance (1 to d)"


def measure(sample: Sample, against: Sample | None) -> list[Value]:
    """Uncentred and centred."""
    return [
        evaluate(REPORTS[0], DEFINITION, centred, sample, partial(_components, sample, centred))
        for centred in (False, True)
    ]


def _components(sample: Sample, centred: bool) -> Measured:
    spectra = Spectra.of(list(require_moments(sample).values()), centred)
    require_energy(scatter.trace() for scatter in spectra.scatters)
    num_groups = len(spectra.counts)
    axes = spectra.axes(spectra.shifts.shape[1])
    energies = spectra.energies(axes)
    value = float(_count(energies.sum(axis=0)[None, :])[0])
    estimate = Estimate(value=value)
    if num_groups >= MIN_GROUPS:
        drawn = _count(_drawn_energies(spectra, axes, energies))
        estimate = percentile_interval(value, drawn, num_groups)
    num_rows = int(spectra.counts.sum())
    return Measured(estimate=estimate, num_rows=num_rows, num_groups=num_groups)


def _drawn_energies(
    spectra: Spectra,
    axes: Float64[np.ndarray, "d k"],
    energies: Float64[np.ndarray, "groups k"],
) -> Float64[np.ndarray, "draws k"]:
    """Variance of every bootstrap draw along the axes of the whole sample.

    A new spectrum per draw would be biased, as a draw holds only 63 % of the groups, and would cost
    a thousand decompositions; along fixed axes energies are linear in the draw.
    """
    weights = group_draws(len(spectra.counts))
    drawn = weights @ energies
    if spectra.centred:
        counts = weights * spectra.counts
        mean_energy = np.square(counts @ (spectra.shifts @ axes)) / counts.sum(axis=1)[:, None]
        drawn = np.maximum(drawn - mean_energy, 0.0)
    return np.asarray(drawn)


def _count(energies: Float64[np.ndarray, "draws k"]) -> Float64[np.ndarray, " draws"]:
    """How many of the leading axes are needed; a rounding error below 90 % counts as 90 %."""
    reached = np.cumsum(energies, axis=1)
    short = reached < (SHARE - 1e-12) * reached[:, -1:]
    return np.asarray(short.sum(axis=1) + 1, dtype=np.float64)
