"""`MeanOffset`: the mean of δ at one place, and how sure its direction is over prompt groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float32, Float64

from analysis.estimates.intervals import (
    MIN_GROUPS,
    Estimate,
    group_draws,
    jackknife,
    left_out_weights,
    student_quantile,
)
from analysis.estimates.mean_direction import MOST_LENGTHENED, MeanDirection
from analysis.rows.crossing import cross_groups
from analysis.status import Status

NUM_DRAWS = 200
"""Bootstrap draws of prompt groups; they give a standard error, to 5 %, and no quantiles."""


@dataclass(frozen=True, kw_only=True, eq=False)
class MeanOffset:
    """Rows at one site, layer and position policy, as a sum for each prompt group."""

    sums: Float64[np.ndarray, "groups d"]
    """Sum of each group's rows."""
    counts: Float64[np.ndarray, " groups"]
    """Rows of each group."""
    numbers: tuple[int, ...]
    """Number of each group."""
    floor: float | None
    """Median norm of a row of the base against itself; None where it was not measured."""

    @classmethod
    def of_groups(
        cls, groups: Mapping[int, tuple[Float64[np.ndarray, " d"], int]], floor: float | None = None
    ) -> MeanOffset:
        """Make a mean offset; `groups` maps group number -> mean and number of its rows."""
        counts = np.array([float(count) for _, count in groups.values()])
        sums = np.stack([mean for mean, _ in groups.values()]) * counts[:, None]
        return cls(sums=sums, counts=counts, numbers=tuple(groups), floor=floor)

    @property
    def num_rows(self) -> int:
        """Rows of all groups."""
        return int(self.counts.sum())

    @property
    def num_groups(self) -> int:
        """Groups with rows."""
        return len(self.counts)

    @cached_property
    def problem(self) -> tuple[Status, str] | None:
        """Status and reason where the direction is not known; None where it is."""
        length = float(np.linalg.norm(self.sums.sum(axis=0)) / self.counts.sum())
        if not np.isfinite(length):
            return Status.UNDEFINED, "the mean offset holds NaN or infinity"
        if length == 0:
            return Status.BELOW_NOISE_FLOOR, "the mean offset is zero"
        if self.floor is not None and length <= self.floor:
            reason = f"the mean offset is {length:.3g} long, a row of the base against itself"
            return Status.BELOW_NOISE_FLOOR, f"{reason} {self.floor:.3g}"
        if self.num_groups > 1 and not self._agreed > 0:
            return Status.BELOW_NOISE_FLOOR, "prompt groups do not agree on a mean offset"
        return None

    @cached_property
    def _agreed(self) -> float:
        """Part of the mean's squared length that different groups share; the rest is noise."""
        return float(cross_groups(self.sums, self.counts, self.sums, self.counts)[0])

    @cached_property
    def _lengthened(self) -> float:
        """Factor by which noise makes the mean longer, and every cosine with the mean smaller.

        At most MOST_LENGTHENED: beyond that, noise is more than half of the mean's squared length.
        """
        if self.num_groups < 2 or not self._agreed > 0:
            return 1.0
        length = float(np.linalg.norm(self.sums.sum(axis=0)) / self.counts.sum())
        return min(max(length / float(np.sqrt(self._agreed)), 1.0), MOST_LENGTHENED)

    def cosine(self, direction: Float64[np.ndarray, " d"]) -> Estimate:
        """Estimate the cosine of the mean, freed of noise, with a unit direction, by jackknife."""
        left_out = self.sums.sum(axis=0) - self.sums
        sums = np.concatenate([self.sums.sum(axis=0)[None], left_out])
        lengths = np.linalg.norm(sums, axis=1)
        nothing = np.full(len(sums), np.nan)
        cosines = np.divide(sums @ direction, lengths, out=nothing, where=lengths > 0)
        cosines *= self._lengthened
        return jackknife(float(cosines[0]), cosines[1:], self.counts).within(-1.0, 1.0)

    def cosines(self, units: Float32[np.ndarray, "vectors d"]) -> Float32[np.ndarray, "vectors k"]:
        """Return cosines of unit vectors with the mean of all, of each draw and less each group.

        A draw's mean is a sum of the groups' means, so every vector is multiplied only with those.
        Noise may leave a cosine of 1 a little above it.
        """
        weights = np.ones((1, self.num_groups))
        if self.num_groups >= MIN_GROUPS:
            draws = group_draws(self.num_groups)[:NUM_DRAWS]
            weights = np.concatenate([weights, draws, left_out_weights(self.num_groups)])
        scale = np.linalg.norm(self.sums.sum(axis=0)) or 1.0
        sums = self.sums / scale
        direction = MeanDirection(
            inner=units @ sums.T.astype(np.float32), gram=sums @ sums.T, counts=self.counts
        )
        return np.asarray(direction.cosines(weights), dtype=np.float32)

    def estimate(self, numbers: Float64[np.ndarray, " k"]) -> Estimate:
        """Estimate a number from its value at each of the means of `cosines`.

        By standard error and t(G - 1): a jackknife of a quantile over few vectors counts how they
        happen to lie as noise (it covered 200 of 200 truths at 95 %).
        """
        value = float(numbers[0])
        if len(numbers) == 1:
            return Estimate(value=value)
        # Resampling G groups lacks a G-th of the variance.
        drawn, left_out = numbers[1 : 1 + NUM_DRAWS], numbers[1 + NUM_DRAWS :]
        error = float(drawn.std()) * (self.num_groups / (self.num_groups - 1)) ** 0.5
        half = student_quantile(self.num_groups - 1) * error
        left = tuple(left_out.tolist())
        estimate = Estimate(value=value, low=value - half, high=value + half, left_out=left)
        return estimate.within(-1.0, 1.0)
