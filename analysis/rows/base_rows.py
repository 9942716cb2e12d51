"""The kept rows of the base model as a source of null directions: no d x d matrix is formed."""

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
    """The prompt group each belongs to."""

    @classmethod
    def of(
        cls, rows: Float[np.ndarray, "rows d"], groups: Int[np.ndarray, " rows"]
    ) -> BaseRows | None:
        """The rows, or None when all are the same: then they have no covariance."""
        exact = rows.astype(np.float64)
        centred = exact - exact.mean(axis=0)
        return cls(centred=centred, groups=groups) if centred.any() else None

    def directions(self, number: int, seed: int) -> Float64[np.ndarray, "number d"]:
        """Normal draws with the rows' covariance, of no particular length."""
        draws = np.random.default_rng(seed).standard_normal((number, len(self.centred)))
        return np.asarray(draws @ self.centred)

    def moments(self) -> dict[int, Moments]:
        """Moments of each prompt group's rows, about the mean of all."""
        numbers = np.unique(self.groups)
        return {int(n): Moments.from_rows(self.centred[self.groups == n]) for n in numbers}
