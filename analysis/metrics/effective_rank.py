"""How many directions the spectrum spreads over: exp of the entropy of the eigenvalues."""

from functools import partial
from math import exp

import numpy as np

from analysis.evaluation import Measured, evaluate, require_energy, require_moments
from analysis.intervals import jackknife
from analysis.metric import Value
from analysis.spectra import Spectra
from analysis.summary import Sample

DEFINITION = (
    "v1: exp(-sum p log p), p = eigenvalues over their sum, zeros dropped; bias corrected by "
    "delete-group jackknife of the entropy, at most d; biased low while num_rows / d_model is small"
)
NEEDS_AGAINST = False
REPORTS = ("effective_rank",)
AXIS_LABEL = "effective rank (1 to d)"


def measure(sample: Sample, against: Sample | None) -> list[Value]:
    """Uncentred and centred (Roy and Vetterli 2007, *The effective rank*, eq. 4)."""
    return [
        evaluate(REPORTS[0], DEFINITION, centred, sample, partial(_rank, sample, centred))
        for centred in (False, True)
    ]


def _rank(sample: Sample, centred: bool) -> Measured:
    spectra = Spectra.of(list(require_moments(sample).values()), centred)
    require_energy(scatter.trace() for scatter in spectra.scatters)
    num_groups = len(spectra.counts)
    left_out = np.full(num_groups, np.nan)
    if num_groups > 1:
        left_out = np.array([_entropy(spectra, group) for group in range(num_groups)])
    whole = _entropy(spectra, None)
    estimate = jackknife(whole, left_out, spectra.counts, correct=True)
    dimension = float(spectra.shifts.shape[1])
    return Measured(
        estimate=estimate.map(exp).within(1.0, dimension),
        num_rows=int(spectra.counts.sum()),
        num_groups=num_groups,
    )


def _entropy(spectra: Spectra, without: int | None) -> float:
    """Entropy of the eigenvalues in nats; NaN where none is left."""
    values = spectra.eigenvalues(without)
    if len(values) == 0:
        return float("nan")
    shares = values / values.sum()
    return float(-(shares * np.log(shares)).sum())
