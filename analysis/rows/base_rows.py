"""Kept rows of the base model, from which null directions are drawn without a d x d matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int

from analysis.rows.moments import Moments


@dataclass(frozen=True, kw_only=True, eq=False)
class BaseRows:
    """Base activations about their mean, at the tokens of one sample's kept rows."""

    centred: Float64[np.ndarray, "rows d"]
    """The rows minus their mean."""
    groups: Int[np.ndarray, " rows"]
    """Number of each row's prompt group."""

    @classmethod
    def of(
        cls, rows: Float[np.ndarray, "rows d"], groups: Int[np.ndarray, " rows"]
    ) -> BaseRows | None:
        """Centre rows; None when all rows are the same, which have no covariance."""
        exact = rows.astype(np.float64)
        centred = exact - exact.mean(axis=0)
        return cls(centred=centred, groups=groups) if centred.any() else None

    def directions(self, number: int, seed: int) -> Float64[np.ndarray, "number d"]:
        """Draw normal directions with the rows' covariance, of no particular length."""
        draws = np.random.default_rng(seed).standard_normal((number, len(self.centred)))
        return np.asarray(draws @ self.centred)

    def moments(self) -> dict[int, Moments]:
        """Return the moments of each prompt group's rows, from the mean of all rows."""
        numbers = np.unique(self.groups)
        return {int(n): Moments.from_rows(self.centred[self.groups == n]) for n in numbers}
