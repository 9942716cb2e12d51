"""How many principal directions hold 90 % of the variance."""

from __future__ import annotations

from functools import partial
from math import log

import numpy as np
from jaxtyping import Float64

from analysis.estimates.spectral import SpectralNumber
from analysis.metric import Computation, Metric
from analysis.rows.summary import Sample

SHARE = 0.9


class Components90(Metric):
    """Number of components; rotating or scaling all rows changes nothing.

    Counting the last component in part makes it smooth enough to jackknife: a bootstrap of whole
    numbers cannot see that few rows make them read low (with 64 rows in 24 dimensions its interval
    covered the truth in 20 % of draws, this one in 87 %).
    """

    DEFINITION = (
        "v2: least number of leading eigenvalues that sum to 90 % of all; bias corrected by "
        "delete-group jackknife of the logarithm of the number with the last one counted in part,"
        " then rounded up; _share: over min(num_rows, d)"
    )
    REPORTS = ("components_90", "components_90_share")
    AXIS_LABEL = "components for 90 % of the variance (1 to d)"
    HEADLINES = {"components_90": 150}
    IS_SPECTRAL = True

    def prepare(self, sample: Sample, against: Sample | None, centred: bool) -> list[Computation]:
        """Return what computes each value."""
        number = SpectralNumber(sample=sample, logarithm=log_components, whole=True)
        return [partial(number.measure, centred), partial(number.measure_share, centred)]


def log_components(eigenvalues: Float64[np.ndarray, " rank"]) -> float:
    """Return the logarithm of the number of components, the last one in part.

    Args:
        eigenvalues: all above 0, largest first; a share of 1e-12 short of SHARE counts as SHARE.

    Returns:
        The natural logarithm.
    """
    reached = np.cumsum(eigenvalues) / eigenvalues.sum()
    whole = int((reached < SHARE - 1e-12).sum())
    before = float(reached[whole - 1]) if whole else 0.0
    return log(whole + (SHARE - before) / (float(reached[whole]) - before))
