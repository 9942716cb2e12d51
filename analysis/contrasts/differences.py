"""Differences of two numbers each, their errors, p values, and the smallest one that shows.

A difference has up to three independent errors, each with degrees of freedom of its own: of prompts
(one where both sides answer the same prompts, else one of each side) and of seeds. Half-widths
t(df) x error are joined in squares, as in fits over sizes (Zou and Donner 2008, *Construction of
confidence limits about effect measures*). A p value is the level at which the interval ends at 0,
so the 5 % p value and the 95 % interval always say the same.

Everything is for many differences at once: a study has 10^5.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

LEVEL = 0.05
"""Two-sided level of intervals and of families."""
POWER = 0.8
"""Chance with which the smallest visible difference is seen."""
_HALVINGS = 60

Numbers = Float64[np.ndarray, " differences"]
Errors = Float64[np.ndarray, "differences errors"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Differences:
    """Differences, first less second, with their errors."""

    value: Numbers
    """The differences."""
    below: Errors
    """Standard errors that make the lower half of the interval; 0 where there are fewer."""
    above: Errors
    """Standard errors that make the upper half."""
    degrees: Errors
    """Degrees of freedom of each error."""
    lower: Numbers
    """By how much the difference may be less, because words of the second are not counted."""
    higher: Numbers
    """By how much the difference may be more, because words of the first are not counted."""

    def with_error(self, error: Numbers, degrees: Numbers) -> Differences:
        """Return the differences with one more independent error each; 0 is none."""
        return replace(
            self,
            below=np.column_stack([self.below, error]),
            above=np.column_stack([self.above, error]),
            degrees=np.column_stack([self.degrees, degrees]),
        )

    def low(self, level: float = LEVEL) -> Numbers:
        """Return the lower ends of intervals."""
        half = self._half(self.below, np.full(len(self.value), level))
        return np.asarray(self.value - self.lower - half)

    def high(self, level: float = LEVEL) -> Numbers:
        """Return the upper ends of intervals."""
        half = self._half(self.above, np.full(len(self.value), level))
        return np.asarray(self.value + self.higher + half)

    @property
    def p_values(self) -> Numbers:
        """Two-sided p values of no difference; NaN where a difference has no error at all."""
        is_up = self.value >= 0
        errors = np.where(is_up[:, None], self.below, self.above)
        apart = np.maximum(np.abs(self.value) - np.where(is_up, self.lower, self.higher), 0.0)
        lows, highs = np.full(len(apart), -300.0), np.zeros(len(apart))  # log10 of the level
        for _ in range(_HALVINGS):
            middle = (lows + highs) / 2
            reaches = self._half(errors, 10.0**middle) > apart
            lows, highs = np.where(reaches, middle, lows), np.where(reaches, highs, middle)
        p = np.where(apart > 0, 10.0 ** ((lows + highs) / 2), 1.0)
        return np.asarray(np.where(errors.any(axis=1) | (self.value == 0), p, np.nan))

    def smallest_visible(self, level: Numbers) -> Numbers:
        """Return the smallest difference whose p value is under `level` with 80 % chance.

        By the noncentral t, with Satterthwaite's degrees of freedom of the joined error; of an
        uneven interval the wider half.
        """
        from scipy.special import nctdtrinc

        errors = np.maximum(self.below, self.above)
        variance = np.square(errors).sum(axis=1)
        known = variance > 0
        shares = np.where(known, (errors**4 / self.degrees).sum(axis=1), 1.0)
        degrees = np.where(known, variance**2, 1.0) / shares
        error = np.sqrt(np.where(known, variance, 1.0))
        critical = self._half(errors, level) / error
        shift = nctdtrinc(degrees, 1 - POWER, critical)
        smallest = error * shift + np.maximum(self.lower, self.higher)
        return np.asarray(np.where(known, smallest, np.nan))

    def _half(self, errors: Errors, level: Numbers) -> Numbers:
        """Return half-widths of intervals at two-sided levels."""
        from scipy.special import stdtrit

        points = -stdtrit(self.degrees, level[:, None] / 2)
        return np.asarray(np.sqrt(np.square(points * errors).sum(axis=1)))


def holm(p_values: Numbers) -> Numbers:
    """Return p values adjusted for all of them being looked at (Holm 1979); NaN counts for nothing.

    Valid under any dependence, so also for metrics of one model and prompts of one set. Own lines:
    scipy has false discovery rates only, and statsmodels is 65 MB for these.
    """
    known = np.flatnonzero(np.isfinite(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    adjusted = np.full(len(p_values), np.nan)
    steps = np.arange(len(order), 0, -1) * p_values[order]
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted
