"""Covariance of rows by differences between prompt groups: nothing supposed of rows of one group.

A scatter about a group's own mean holds what rows of a prompt differ by, and hardly what prompts
differ by: where prompts share a few directions and rows within them spread over others, it is of
another spectrum. The difference of two rows of different groups holds both, as in the population:
half its outer product is an unbiased estimate of the covariance, whatever rows of a group share.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Bool, Float64

from analysis.rows.spectra import Spectra

LEAST_GROUPS = 4
"""Two differences of rows, all of different groups."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CrossedCovariance:
    """Holds the sums that squares of the covariance are made of; rows are about the mean of all.

    Any point would do: differences of rows do not hold it. About this one little cancels.
    """

    counts: Float64[np.ndarray, " groups"]
    """Rows of each group."""
    traces: Float64[np.ndarray, " groups"]
    """Sum of the squared norms of a group's rows, tr Q_g, Q_g the sum of their outer products."""
    products: Float64[np.ndarray, "groups groups"]
    """tr(Q_g Q_h)."""
    inner: Float64[np.ndarray, "groups groups"]
    """s_g . s_h, s_g the sum of a group's rows."""
    energies: Float64[np.ndarray, "groups groups groups"]
    """s_h^T Q_g s_k at place g, h, k."""

    @classmethod
    def of(cls, spectra: Spectra) -> Self:
        """Take the rows of all groups."""
        sums = spectra.shifts * spectra.counts[:, None]
        return cls(
            counts=spectra.counts,
            traces=spectra.traces(True),
            products=spectra.products(True),
            inner=sums @ sums.T,
            energies=spectra.forms(True, sums.T),
        )

    def squares(self, kept: Bool[np.ndarray, " groups"]) -> tuple[float, float]:
        """Return (tr C)^2 and tr C^2 of some groups, both times one number.

        Sums over rows i, j, k, l, all of different groups, of |x_i - x_k|^2 |x_j - x_l|^2 and of
        ((x_i - x_k) . (x_j - x_l))^2, over 4: a U-statistic (Hoeffding 1948), multiplied out.

        Args:
            kept: which groups count; sums over fewer than LEAST_GROUPS are zero.
        """
        counts, traces = self.counts[kept], self.traces[kept]
        pairs = np.ix_(kept, kept)
        inner = _off_diagonal(self.inner[pairs])
        energies = _of_three(self.energies[np.ix_(kept, kept, kept)])
        number, square = counts.sum(), np.square(counts).sum()
        apart = number - np.add.outer(counts, counts)
        weights = _off_diagonal(
            np.square(apart) - square + np.add.outer(np.square(counts), np.square(counts))
        )
        # Rows of groups that are none of three.
        others = apart[:, :, None] - counts
        thrice = _of_three(np.broadcast_to(inner, others.shape))
        shared = inner.sum() ** 2 - 4 * np.square(inner.sum(axis=1)).sum()
        shared += 2 * np.square(inner).sum()
        whole = traces @ weights @ traces - 2 * np.einsum("g,ghk,ghk->", traces, others, thrice)
        own = np.vdot(weights, self.products[pairs]) - 2 * np.vdot(others, energies)
        return float(whole + shared), float(own + shared)


def _off_diagonal(matrix: Float64[np.ndarray, "n n"]) -> Float64[np.ndarray, "n n"]:
    """Return a matrix with zeros on its diagonal."""
    return np.asarray(matrix * (1 - np.eye(len(matrix))))


def _of_three(tensor: Float64[np.ndarray, "n n n"]) -> Float64[np.ndarray, "n n n"]:
    """Return a tensor with zeros wherever two places are the same."""
    apart = 1 - np.eye(len(tensor))
    return np.asarray(tensor * apart[:, :, None] * apart[:, None, :] * apart[None, :, :])
