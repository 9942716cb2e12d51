"""Cosines of many vectors with the direction of a mean, freed of the noise in that mean.

Noise makes an estimated mean longer, so that every cosine with it reads small, and adds its own
inner product with each vector, so that cosines spread further than they should. Products of two
different prompt groups share no noise: they give the mean's true length, and how much the inner
products differ between vectors for its true direction alone (as reliability does, Spearman 1904,
*The proof and measurement of association between two things*).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Float64, Int64

from analysis.estimates.intervals import jackknife, left_out_weights

MOST_LENGTHENED = 2**0.5
"""Largest factor by which cosines with a noisy mean are corrected: beyond it, noise is more than
half of the mean's squared length, and the rest hardly known."""


@dataclass(frozen=True, kw_only=True, eq=False)
class MeanDirection:
    """Vectors beside the sums of the rows of each prompt group."""

    inner: Float[np.ndarray, "vectors groups"]
    """Inner product of each unit vector with the sum of each group's rows."""
    gram: Float64[np.ndarray, "groups groups"]
    """Inner products of these sums."""
    counts: Float64[np.ndarray, " groups"]
    """Rows of each group."""
    own: Int64[np.ndarray, " vectors"] | None = None
    """The place of each vector's own group, which is left out for it; None: they have none."""

    def cosines(
        self, weights: Float64[np.ndarray, "draws groups"]
    ) -> Float[np.ndarray, "vectors draws"]:
        """Return cosines with the mean of every draw of groups, which may exceed 1 by noise.

        Args:
            weights: how often each group counts in each draw.
        """
        rows = weights * self.counts
        along = self.inner @ weights.T.astype(self.inner.dtype)
        among = np.broadcast_to(rows.sum(axis=1), along.shape)
        if self.own is not None:
            along = along - self.inner[self._index, self.own][:, None] * weights.T[self.own]
            among = among - rows.T[self.own]
        projections = np.divide(along, among, out=np.zeros_like(along), where=among > 0)
        centre = projections.mean(axis=0)
        kept = self._shares_kept(rows, projections.var(axis=0, dtype=np.float64))
        lengths = self._lengths(weights)
        scale = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)
        centred = (projections - centre) * (kept * scale).astype(along.dtype)
        return np.asarray(centred + (centre * scale).astype(along.dtype))

    @cached_property
    def is_known(self) -> bool:
        """Return whether the mean is told from 0, by its squared length over pairs of groups."""
        number = len(self.counts)
        weights = np.concatenate([np.ones((1, number)), left_out_weights(number)])
        agreed = self._agreed(weights)
        estimate = jackknife(float(agreed[0]), agreed[1:], self.counts)
        return estimate.low is None or estimate.low > 0

    @cached_property
    def _index(self) -> Int64[np.ndarray, " vectors"]:
        return np.arange(len(self.inner))

    def _agreed(self, weights: Float64[np.ndarray, "draws groups"]) -> np.ndarray:
        """Return the squared length of every draw's mean by pairs of different groups, or NaN."""
        rows = weights * self.counts
        whole = np.einsum("kg,gh,kh->k", weights, self.gram, weights)
        crossed = whole - np.square(weights) @ np.diag(self.gram)
        pairs = np.square(rows.sum(axis=1)) - np.square(rows).sum(axis=1)
        nothing = np.full(len(pairs), np.nan)
        return np.asarray(np.divide(crossed, pairs, out=nothing, where=pairs > 0))

    def _lengths(self, weights: Float64[np.ndarray, "draws groups"]) -> np.ndarray:
        """Return the length of every draw's mean, its noise taken off as far as that is known."""
        whole = np.einsum("kg,gh,kh->k", weights, self.gram, weights)
        plain = whole / np.square(weights @ self.counts)
        agreed = self._agreed(weights)
        agreed = np.where(np.isfinite(agreed), agreed, plain)
        return np.asarray(np.sqrt(np.clip(agreed, plain / MOST_LENGTHENED**2, plain)))

    @cached_property
    def _covariances(self) -> Float64[np.ndarray, "groups groups"]:
        """Return how mean projections on two groups' means vary together over the vectors."""
        projections = (self.inner / self.counts).astype(np.float64)
        present = np.ones(projections.shape)
        if self.own is not None:
            present[self._index, self.own] = 0.0
        numbers = np.maximum(present.sum(axis=0), 1.0)
        apart = (projections - (projections * present).sum(axis=0) / numbers) * present
        return np.asarray((apart.T @ apart) / np.maximum(present.T @ present, 1.0))

    def _shares_kept(self, rows: np.ndarray, variances: np.ndarray) -> np.ndarray:
        """Return by which factor the spread over vectors shrinks without the noise of the mean."""
        together = np.einsum("kg,gh,kh->k", rows, self._covariances, rows)
        alone = np.square(rows) @ np.diag(self._covariances)
        pairs = np.square(rows.sum(axis=1)) - np.square(rows).sum(axis=1)
        usable = (pairs > 0) & (variances > 0)
        signal = np.divide(together - alone, pairs, out=np.zeros_like(pairs), where=usable)
        kept = np.divide(signal, variances, out=np.ones_like(pairs), where=usable)
        return np.asarray(np.sqrt(np.clip(kept, 0.0, 1.0)))
