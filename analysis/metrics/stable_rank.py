"""How many directions as strong as the first would hold all the variance."""

from functools import partial
from math import log

import numpy as np
from jaxtyping import Float64

from analysis.evaluation import evaluate
from analysis.metric import Value
from analysis.spectral import SpectralNumber
from analysis.summary import Sample

DEFINITION = (
    "v1: sum of eigenvalues over the largest, |A|_F^2 / |A|_2^2; bias corrected by delete-group "
    "jackknife of the logarithm; _share: over min(num_rows, d)"
)
NEEDS_AGAINST = False
REPORTS = ("stable_rank", "stable_rank_share")
AXIS_LABEL = "stable rank (1 to d)"


def measure(sample: Sample, against: Sample | None) -> list[Value]:
    """Uncentred and centred (Rudelson and Vershynin 2007, *Sampling from large matrices*).

    Rotating or scaling all rows changes nothing.
    """
    number = SpectralNumber(sample=sample, logarithm=log_stable_rank)
    return [
        evaluate(name, DEFINITION, centred, sample, partial(compute, centred))
        for name, compute in zip(REPORTS, (number.measured, number.share), strict=True)
        for centred in (False, True)
    ]


def log_stable_rank(eigenvalues: Float64[np.ndarray, " rank"]) -> float:
    """Logarithm of the stable rank."""
    return log(float(eigenvalues.sum() / eigenvalues[0]))
