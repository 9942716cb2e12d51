"""Null bands: where a number lies when nothing but chance, or the base's anisotropy, is at work."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from jaxtyping import Float64

from analysis.estimates.intervals import TAIL
from analysis.rows.base_rows import BaseRows

NUM_DIRECTIONS = 1000
"""Pairs of directions drawn from the base covariance for a band of cosines."""
NUM_SUBSPACES = 200
"""Pairs of subspaces drawn for a band of principal angles."""


@dataclass(frozen=True, kw_only=True)
class Band:
    """Where 95 % of the numbers lie under the null."""

    low: float
    """The 2.5 % point."""
    high: float
    """The 97.5 % point."""

    @classmethod
    def of_draws(cls, draws: Float64[np.ndarray, " draws"]) -> Band:
        """Take the band of simulated numbers."""
        low, high = np.quantile(draws, (TAIL, 1 - TAIL))
        return cls(low=float(low), high=float(high))

    def times(self, factor: float) -> Band:
        """Return the band of numbers that are `factor` >= 0 times as large."""
        return Band(low=self.low * factor, high=self.high * factor)


@cache
def random_cosine(dimension: int) -> Band:
    """Return the band of two random directions: (1 + cos) / 2 is Beta((d - 1) / 2, the same)."""
    from scipy.special import betaincinv

    if dimension < 2:
        return Band(low=-1.0, high=1.0)
    half = float(1 - 2 * betaincinv((dimension - 1) / 2, (dimension - 1) / 2, TAIL))
    return Band(low=-half, high=half)


def random_share(num_axes: int, dimension: int, purity: float) -> Band:
    """Return the band of the share of rows' energy inside a random subspace, as a matched Beta.

    The mean is k / d and the variance 2 k (d - k) (purity - 1 / d) / (d (d - 1) (d + 2)), purity
    the sum of squared eigenvalues over the squared sum: from the second moments of a random
    projection (Collins and Sniady 2006, real orthogonal group). With one row, the Beta is exact.
    """
    from scipy.special import betaincinv

    mean = num_axes / dimension
    excess = max(purity - 1 / dimension, 0.0)
    if num_axes >= dimension or excess < 1e-12:
        return Band(low=mean, high=mean)
    freedom = dimension * (dimension - 1) * (dimension + 2)
    variance = 2 * num_axes * (dimension - num_axes) * excess / freedom
    scale = mean * (1 - mean) / variance - 1
    low, high = betaincinv(mean * scale, (1 - mean) * scale, np.array([TAIL, 1 - TAIL]))
    return Band(low=float(low), high=float(high))


def base_cosine(first: BaseRows | None, second: BaseRows | None) -> Band | None:
    """Return the band of the cosine of two directions, drawn from two base covariances."""
    if first is None or second is None:
        return None
    pair = first.directions(NUM_DIRECTIONS, 1), second.directions(NUM_DIRECTIONS, 2)
    lengths = np.linalg.norm(pair[0], axis=1) * np.linalg.norm(pair[1], axis=1)
    return Band.of_draws(np.einsum("ij,ij->i", *pair) / lengths)


def base_projection(base: BaseRows | None, row: Float64[np.ndarray, " d"]) -> Band | None:
    """Return the band of a row's inner product with unit directions of the base covariance."""
    if base is None:
        return None
    drawn = base.directions(NUM_DIRECTIONS, 1)
    return Band.of_draws(drawn @ row / np.linalg.norm(drawn, axis=1))


Cosines = Float64[np.ndarray, "draws k"]
"""Cosines of the principal angles of drawn pairs of subspaces, the largest first."""


@cache
def random_angles(num_axes: int, others: int, dimension: int) -> Cosines:
    """Draw angles of pairs of subspaces that random directions span; the same in every call."""
    draw = np.random.default_rng(3)
    fixed = np.eye(dimension, min(num_axes, dimension))  # only the angle between them matters
    drawn = draw.standard_normal((NUM_SUBSPACES, others, dimension))
    return principal_cosines(fixed, _orthonormal(drawn))


@lru_cache(maxsize=1)  # asked for twice: about the mean and about zero
def base_angles(
    first: BaseRows | None, second: BaseRows | None, num_axes: int, others: int
) -> Cosines | None:
    """Draw angles of subspaces that directions of two conditions' base covariances span."""
    if first is None or second is None:
        return None
    drawn = (
        first.directions(NUM_SUBSPACES * num_axes, 1).reshape(NUM_SUBSPACES, num_axes, -1),
        second.directions(NUM_SUBSPACES * others, 2).reshape(NUM_SUBSPACES, others, -1),
    )
    return principal_cosines(*map(_orthonormal, drawn))


def base_share(
    base: BaseRows | None,
    axes: Float64[np.ndarray, "d k"],
    weights: Float64[np.ndarray, " m"],
) -> Band | None:
    """Return the band of the energy inside these axes of a δ that has nothing to do with them.

    It moves along as many directions as there are weights, drawn from the base covariance, and with
    what the weights leave as the base varies.

    Args:
        base: base rows at the δ's tokens.
        axes: orthonormal axes of another δ, as they were found.
        weights: shares of the δ's energy along its leading axes, together at most 1.
    """
    if base is None:
        return None
    drawn = base.directions(NUM_DIRECTIONS * len(weights), 1)
    along = np.square(drawn @ axes).sum(axis=1) / np.square(drawn).sum(axis=1)
    rest = max(1.0 - float(weights.sum()), 0.0)
    inside = float(np.square(base.centred @ axes).sum() / np.square(base.centred).sum())
    return Band.of_draws(along.reshape(NUM_DIRECTIONS, -1) @ weights + rest * inside)


def principal_cosines(
    first: Float64[np.ndarray, "... d k"], second: Float64[np.ndarray, "... d m"]
) -> Float64[np.ndarray, "... least"]:
    """Return the cosines of the principal angles of two orthonormal bases, the largest first.

    Of many pairs at once where there are more dimensions; a single basis stands for all.

    Bjorck and Golub 1973, *Numerical methods for computing angles between linear subspaces*.
    """
    cosines = np.linalg.svd(np.swapaxes(first, -1, -2) @ second, compute_uv=False)
    return np.asarray(np.clip(cosines, 0.0, 1.0))


def _orthonormal(directions: Float64[np.ndarray, "draws k d"]) -> Float64[np.ndarray, "draws d m"]:
    return np.asarray(np.linalg.qr(np.swapaxes(directions, -1, -2))[0])
