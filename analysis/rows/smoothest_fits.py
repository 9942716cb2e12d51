"""Fits of largest entropy to several sets of equations at once, each a convex problem of its own.

One set takes some twenty small steps, of which calls of numpy are nearly all of the cost: sets that
are fitted together share them. What a step calls names no shapes: checking them, as tests do, would
take three times as long as the step. Shapes are named where fits begin and end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

MOST_STEPS = 400
CONVERGED = 1e-6
"""Most that the equations may be missed by, beyond their accuracy: every fit that ends is below."""
ROUNDING = 1e-12
"""Of the sums that are made least, beside their size."""
SHORTER = 0.5 ** np.arange(1, 21)
"""Lengths of a step that are tried where a whole one does not lead down."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Duals:
    """The dual problem of each fit: smooth and convex, with one unknown, a price, an equation.

    A set with fewer equations than others has rows of zeros, wanted 0, errors 1: no price there.
    """

    matrix: Float64[np.ndarray, "fits equations k"]
    """Coefficients of the k unknown variances in each equation."""
    wanted: Float64[np.ndarray, "fits equations"]
    """Right-hand sides."""
    errors: Float64[np.ndarray, "fits equations"]
    """Their accuracy."""
    prior: Float64[np.ndarray, " k"]
    """Variances that are expected beforehand."""

    def solve_alike(self) -> Float64[np.ndarray, "fits k"]:
        """Return the variances of each fit; NaN where its steps do not end.

        The first is fitted alone and the others from its prices, which are near theirs where the
        problems are alike; what does not end from there starts anew from zero.
        """
        prices = np.zeros_like(self.wanted)
        first = self._only(np.arange(1)).solve(prices[:1])
        if np.isfinite(first).all():
            prices[:] = first
        prices = self.solve(prices)
        lost = np.flatnonzero(np.isnan(prices).any(axis=1))
        if len(lost):
            prices[lost] = self._only(lost).solve(np.zeros_like(prices[lost]))
        return self.variances(prices)

    def solve(
        self, start: Float64[np.ndarray, "fits equations"]
    ) -> Float64[np.ndarray, "fits equations"]:
        """Return the prices of each fit by damped Newton steps.

        Args:
            start: prices to start from; the result is the same from any, to CONVERGED.

        Returns:
            Prices; NaN for a fit whose steps do not end.
        """
        prices, missed = start.copy(), np.full(len(start), np.inf)
        left = np.arange(len(start))
        for _ in range(MOST_STEPS):
            problems, at = self._only(left), prices[left]
            slopes = problems._slopes(at, problems.variances(at))
            missed[left] = np.abs(slopes).max(axis=1)
            goes_on = missed[left] >= CONVERGED / 100
            left = left[goes_on]
            if not len(left):
                break
            prices[left] = self._only(left)._moved(prices[left], slopes[goes_on])
        prices[~(missed < CONVERGED)] = np.nan
        return prices

    def variances(self, prices: np.ndarray) -> np.ndarray:
        """Return the variances of each fit, [fits, k], that prices [fits, equations] lead to.

        Where each fit has several prices, [fits, prices, equations], they are [fits, prices, k].
        """
        matrix = self.matrix if prices.ndim == 2 else self.matrix[:, None]
        exponents = -(prices[..., None, :] @ matrix)[..., 0, :]
        # Two calls take less than one of `np.clip`.
        return np.asarray(self.prior * np.exp(np.minimum(np.maximum(exponents, -500.0), 50.0)))

    def _only(self, chosen: np.ndarray) -> Duals:
        matrix, wanted, errors = self.matrix[chosen], self.wanted[chosen], self.errors[chosen]
        return Duals(matrix=matrix, wanted=wanted, errors=errors, prior=self.prior)

    def _values(self, prices: np.ndarray) -> np.ndarray:
        of_fits = ... if prices.ndim == 2 else np.s_[:, None]
        linear = prices * self.wanted[of_fits]
        squares = np.square(self.errors[of_fits] * prices) / 2
        return np.asarray(self.variances(prices).sum(axis=-1) + (squares + linear).sum(axis=-1))

    def _slopes(self, prices: np.ndarray, variances: np.ndarray) -> np.ndarray:
        met = (self.matrix @ variances[:, :, None])[:, :, 0]
        return np.asarray(self.wanted - met + self.errors**2 * prices)

    def _moved(self, prices: np.ndarray, slopes: np.ndarray) -> np.ndarray:
        """Return prices after one step, as long as one that still leads down."""
        steps, values = self._steps(prices, slopes), self._values(prices)
        gains = (slopes * steps).sum(axis=1)
        # Where a step gains less than rounding shows, Newton's step is right and none else.
        unseen = ROUNDING * np.maximum(np.abs(values), 1.0)
        tried = prices + steps
        left = np.flatnonzero(~(self._values(tried) <= values + 1e-4 * gains + unseen))
        if len(left):  # all shorter ones at once: a fit that does not end wants every one
            shorter = prices[left, None] + SHORTER[:, None] * steps[left, None]
            wanted = values[left, None] + 1e-4 * SHORTER * gains[left, None] + unseen[left, None]
            is_down = self._only(left)._values(shorter) <= wanted
            is_down[:, -1] = True
            tried[left] = shorter[np.arange(len(left)), is_down.argmax(axis=1)]
        return np.asarray(tried)

    def _steps(self, prices: np.ndarray, slopes: np.ndarray) -> np.ndarray:
        """Return Newton's steps; NaN for a fit that has none."""
        curvature = (self.matrix * self.variances(prices)[:, None]) @ self.matrix.transpose(0, 2, 1)
        places = np.arange(curvature.shape[1])
        curvature[:, places, places] += self.errors**2
        # In units in which every equation curves alike: their coefficients span many decades.
        units = np.sqrt(curvature[:, places, places])
        scaled = curvature / (units[:, :, None] * units[:, None, :])
        wanted = (slopes / units)[:, :, None]
        try:
            steps = np.linalg.solve(scaled, wanted)
        except np.linalg.LinAlgError:  # of all, where it is of one
            steps = np.stack([_solved(*pair) for pair in zip(scaled, wanted, strict=True)])
        return np.asarray(-steps[:, :, 0] / units)


def _solved(matrix: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    try:
        return np.asarray(np.linalg.solve(matrix, wanted))
    except np.linalg.LinAlgError:
        return np.full_like(wanted, np.nan)
