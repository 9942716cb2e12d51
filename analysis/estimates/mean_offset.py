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
LEAST_TOLD = 1.5
"""Standard errors by which the squared length of a mean is to be above 0 (64 dimensions, i^-1).

Of 100 draws of 45 rows with a mean of 0.035 of a row 7 are; 46 are above 0, of which 30 intervals
of `value_vector_shift` missed the truth. Of 60 draws with a mean of 0.35 of a row all are."""


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
        if self.num_groups > 1 and not self._agreed[0] > 0:
            return Status.BELOW_NOISE_FLOOR, "prompt groups do not agree on a mean offset"
        return None

    @cached_property
    def doubt(self) -> tuple[Status, str] | None:
        """`problem`, or status and reason where the mean is not told from zero.

        Were it zero, each group's sum could as well have the other sign, which has the products of
        different groups vary about 0 by what they are themselves.
        """
        if self.problem is not None or self.num_groups < MIN_GROUPS:
            return self.problem
        scaled = self.sums / np.linalg.norm(self.sums.sum(axis=0))
        products = (scaled @ scaled.T) * (1 - np.eye(self.num_groups))
        told = float(products.sum() / (2 * np.square(products).sum()) ** 0.5)
        if told > LEAST_TOLD:
            return None
        reason = f"the mean offset's squared length is {told:.2g} standard errors above 0"
        return Status.BELOW_NOISE_FLOOR, f"{reason}, at least {LEAST_TOLD:g} are needed"

    @cached_property
    def _agreed(self) -> Float64[np.ndarray, " leave"]:
        """Part of the mean's squared length that different groups share; the rest is noise.

        Of all groups, then without each; NaN where no pair of groups is left.
        """
        return cross_groups(self.sums, self.counts, self.sums, self.counts)

    def _lengthened(self, lengths: Float64[np.ndarray, " leave"]) -> Float64[np.ndarray, " leave"]:
        """Return by which factor noise makes each mean longer, and its cosines smaller.

        At most MOST_LENGTHENED: beyond that, noise is more than half of the mean's squared length.

        Args:
            lengths: of the mean of all groups and of those without each.
        """
        shared, most = self._agreed, np.full(len(lengths), MOST_LENGTHENED)
        np.divide(lengths, np.sqrt(np.maximum(shared, 0.0)), out=most, where=shared > 0)
        return np.where(np.isnan(shared), 1.0, np.clip(most, 1.0, MOST_LENGTHENED))

    def cosine(self, direction: Float64[np.ndarray, " d"]) -> Estimate:
        """Estimate the cosine of the mean, freed of noise, with a unit direction, by jackknife.

        Where one coordinate holds most of the variance the cosine bends within its error: the
        interval also holds that with the bias of the cosine taken off, and that with the length
        without noise held fixed.
        """
        sums, counts = self.sums.sum(axis=0), self.counts.sum()
        means = np.concatenate([sums[None], sums - self.sums])
        rows = np.append(counts, counts - self.counts)
        means = np.divide(means, rows[:, None], out=np.zeros_like(means), where=rows[:, None] > 0)
        lengths = np.linalg.norm(means, axis=1)
        nothing = np.full(len(means), np.nan)
        cosines = np.divide(means @ direction, lengths, out=nothing, where=lengths > 0)
        factors = self._lengthened(lengths)
        again, fixed = cosines * factors, cosines * factors[0]
        plain, corrected, held = (
            jackknife(float(numbers[0]), numbers[1:], self.counts, correct=correct)
            for numbers, correct in ((again, False), (again, True), (fixed, False))
        )
        return plain.joined(corrected).joined(held).within(-1.0, 1.0)

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
