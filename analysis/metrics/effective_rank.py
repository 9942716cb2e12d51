"""How many directions the spectrum spreads over: exp of the entropy of the eigenvalues."""

from functools import partial

import numpy as np
from jaxtyping import Float64

from analysis.estimates.evaluation import evaluate
from analysis.estimates.spectral import SpectralNumber
from analysis.measurement import Measurement
from analysis.rows.summary import Sample

DEFINITION = (
    "v1: exp(-sum p log p), p = eigenvalues over their sum, zeros dropped; bias corrected by "
    "delete-group jackknife of the entropy, at most d; biased low while num_rows / d_model is small"
)
NEEDS_AGAINST = False
NEEDS_TOXIC = False
HEADLINES = {"effective_rank": 140}
REPORTS = ("effective_rank",)
AXIS_LABEL = "effective rank (1 to d)"


def measure(sample: Sample, against: Sample | None) -> list[Measurement]:
    """Uncentred and centred (Roy and Vetterli 2007, *The effective rank*, eq. 4).

    Rotating or scaling all rows changes nothing.
    """
    number = SpectralNumber(sample=sample, logarithm=entropy)
    return [
        evaluate(REPORTS[0], DEFINITION, centred, sample, partial(number.measured, centred))
        for centred in (False, True)
    ]


def entropy(eigenvalues: Float64[np.ndarray, " rank"]) -> float:
    """Entropy of the eigenvalues in nats."""
    shares = eigenvalues / eigenvalues.sum()
    return float(-(shares * np.log(shares)).sum())
