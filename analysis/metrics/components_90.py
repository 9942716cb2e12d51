"""How many principal directions hold 90 % of the variance."""

from functools import partial
from math import log

import numpy as np
from jaxtyping import Float64

from analysis.estimates.evaluation import evaluate
from analysis.estimates.spectral import SpectralNumber
from analysis.measurement import Measurement
from analysis.rows.summary import Sample

SHARE = 0.9
DEFINITION = (
    "v2: least number of leading eigenvalues that sum to 90 % of all; bias corrected by "
    "delete-group jackknife of the logarithm of the number with the last one counted in part, then "
    "rounded up; _share: over min(num_rows, d)"
)
NEEDS_AGAINST = False
NEEDS_TOXIC = False
HEADLINES = {"components_90": 150}
REPORTS = ("components_90", "components_90_share")
AXIS_LABEL = "components for 90 % of the variance (1 to d)"


def measure(sample: Sample, against: Sample | None) -> list[Measurement]:
    """Uncentred and centred; rotating or scaling all rows changes nothing.

    Counting the last component in part makes it smooth enough to jackknife: a bootstrap of whole
    numbers cannot see that few rows make them read low (with 64 rows in 24 dimensions its interval
    covered the truth in 20 % of draws, this one in 87 %).
    """
    number = SpectralNumber(sample=sample, logarithm=log_components, whole=True)
    return [
        evaluate(name, DEFINITION, centred, sample, partial(compute, centred))
        for name, compute in zip(REPORTS, (number.measured, number.share), strict=True)
        for centred in (False, True)
    ]


def log_components(eigenvalues: Float64[np.ndarray, " rank"]) -> float:
    """Logarithm of the number, the last component in part; a rounding error short is none."""
    reached = np.cumsum(eigenvalues) / eigenvalues.sum()
    whole = int((reached < SHARE - 1e-12).sum())
    before = float(reached[whole - 1]) if whole else 0.0
    return log(whole + (SHARE - before) / (float(reached[whole]) - before))
