"""How unequal are rows? The law of weights u of rows sqrt(u) z, z normal, by one number.

Long rows decide more of a scatter than short ones, so that rows of heavy tails, or of prompts with
many alike, teach fewer directions than as many normal ones. With e = D / (v z), D the degrees of
freedom at a ridge z (`freedom.py`), v z / N = E u / (1 + u e): of normal rows, all u 1, that is
1 - D / N. The weights here are inverse gamma with mean 1, which makes rows of Student's t.
"""

from __future__ import annotations

from math import exp, inf, log

import numpy as np
from jaxtyping import Float64

LEAST_SHAPE, MOST_SHAPE = 1.05, 200.0
"""Shapes of the law: at 1 the mean would be infinite; above the most, rows are normal."""
NUM_POINTS = 400
"""Equally likely weights that stand for the law."""


def weights(shape: float, number: int) -> Float64[np.ndarray, " number"]:
    """Return equally likely weights of mean 1, the largest first."""
    from scipy.special import gammaincinv

    if shape > MOST_SHAPE:
        return np.ones(number)
    drawn = 1 / gammaincinv(shape, (np.arange(number) + 0.5) / number)
    return np.asarray(drawn / drawn.mean())


def find_shape(load: float, ratio: float) -> float:
    """Return the shape of the law that rows follow; infinity of normal ones, or if none is told.

    Args:
        load: D / N, the degrees of freedom that rows resolve over their number.
        ratio: v z / N at the same ridge.
    """
    from scipy.optimize import brentq

    if not ratio > 0:  # of a curve that is of no use
        return inf
    resolved = load / ratio

    def excess(logarithm: float) -> float:
        given = weights(exp(logarithm), NUM_POINTS)
        return float((given / (1 + given * resolved)).mean()) - ratio

    ends = log(LEAST_SHAPE), log(MOST_SHAPE)
    if not excess(ends[1]) > 0:
        return inf
    return LEAST_SHAPE if excess(ends[0]) >= 0 else exp(brentq(excess, *ends))
