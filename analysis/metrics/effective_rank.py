"""How many directions the spectrum spreads over: exp of the entropy of the eigenvalues."""

from __future__ import annotations

from functools import partial

import numpy as np
from jaxtyping import Float64

from analysis.estimates.spectral import SpectralNumber
from analysis.metric import Computation, Metric
from analysis.rows.summary import Sample


class EffectiveRank(Metric):
    """Roy and Vetterli 2007, *The effective rank*, eq. 4.

    1 to d; rotating or scaling all rows changes nothing.
    """

    DEFINITION = (
        "v1: exp(-sum p log p), p = eigenvalues over their sum, zeros dropped; bias corrected by "
        "delete-group jackknife of the entropy, at most d; biased low while num_rows / d_model is"
        " small"
    )
    REPORTS = ("effective_rank",)
    AXIS_LABEL = "effective rank (1 to d)"
    HEADLINES = {"effective_rank": 140}
    IS_SPECTRAL = True

    def prepare(self, sample: Sample, against: Sample | None, centred: bool) -> list[Computation]:
        """Return what computes each value."""
        return [partial(SpectralNumber(sample=sample, logarithm=entropy).measure, centred)]


def entropy(eigenvalues: Float64[np.ndarray, " rank"]) -> float:
    """Return the entropy in nats of eigenvalues over their sum.

    Args:
        eigenvalues: all above 0, of any scale.

    Returns:
        The entropy, 0 for a single eigenvalue.
    """
    shares = eigenvalues / eigenvalues.sum()
    return float(-(shares * np.log(shares)).sum())
