"""Both sides of many differences as arrays, and how errors of the two become those of differences.

A measurement keeps its number without each prompt group. Differences of those are the difference
without each group, and give its standard error (delete-group jackknife, t(G - 1)): what both sides
share of the prompts' luck drops out by itself, whatever the metric.

- A side without rows of a group is the same number without it.
- Where a side's own interval is wider than its leave-one-out values give (the wider of two ways,
  groups that differ in size), the difference's is wider by the same factor, the larger of both
  sides'; where by more than NOT_SMOOTH (counts), nothing is paired. An interval that was made on
  another scale, such as the logarithm, needs no more: a difference of two equal numbers is
  symmetric on the scale of the values.
- A quantile over rows (its definition says so: QUANTILES) is never paired: it moves with the few
  rows beside it, and where two sides have these in common their difference hardly moves at all.
- A mean over seeds is off by their scatter, too: its own interval less what prompts give of it.
- Words left uncounted widen the interval on their side.

Where fewer than five groups are in both nothing is paired, either: errors are then those of the two
sides' own intervals, taken as independent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

import numpy as np
from jaxtyping import Bool, Float64

from analysis.contrasts.differences import Differences, Numbers
from analysis.estimates.intervals import MIN_GROUPS, TAIL, jackknife_variances
from analysis.measurement import Measurement, Row, left_out_of

Kept = Float64[np.ndarray, "differences groups"]
NOT_SMOOTH = 1.25
"""A number whose own interval is wider by more than this does not move smoothly with groups."""
QUANTILES = "quantiles over"
"""What a definition of quantiles over rows says. Paired wherever their intervals were not too wide,
11 to 12 % of families of 95th percentiles of heavy-tailed rows erred; paired always, 22 to 26 %."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Sides:
    """Numbers that are one side of differences."""

    value: Numbers
    """The numbers."""
    low: Numbers
    """Lower ends of their intervals; NaN where there is none."""
    high: Numbers
    """Upper ends, raised by what was left uncounted."""
    uncounted: Numbers
    """By how much each may be too low."""
    num_groups: Numbers
    """Prompt groups that entered."""
    num_seeds: Numbers
    """Seeds behind it."""
    kept: Kept
    """Each without each prompt group, by the group's number; NaN where it has no rows of it."""
    widening: Numbers
    """By which factor each interval is wider than its leave-one-out values give, from 1; NaN where
    those do not move, and of quantiles over rows; 1 for means over seeds, whose interval is of
    something else."""

    @classmethod
    def of(cls, numbers: Sequence[Measurement]) -> Sides:
        """Return measurements as arrays; what they lack is NaN."""
        return cls.of_rows([vars(number) for number in numbers])

    @classmethod
    def of_rows(cls, rows: Sequence[Row]) -> Sides:
        """Return rows of the long table as arrays; what they lack is NaN."""
        lists = zip_longest(*(left_out_of(row) or () for row in rows))
        kept = np.array(list(lists) or [(None,) * len(rows)], dtype=np.float64).T

        def column(name: str) -> Numbers:
            return np.array([row[name] for row in rows], dtype=np.float64)

        sides = cls(
            value=column("value"),
            low=column("low"),
            high=column("high"),
            uncounted=np.nan_to_num(column("uncounted")),
            num_groups=column("num_groups"),
            num_seeds=np.nan_to_num(column("num_seeds"), nan=1.0),
            kept=kept,
            widening=np.ones(len(rows)),
        )
        is_quantile = np.array([QUANTILES in str(row["definition"]) for row in rows], dtype=bool)
        return replace(sides, widening=np.where(is_quantile, np.nan, sides._widening()))

    def means(self, of: Sequence[Sequence[int]]) -> Sides:
        """Return means of several numbers each, as far as prompts go: seeds are an error apart.

        Half-widths are averaged, because seeds share their prompts; the widest factor counts.

        Args:
            of: for each mean, the places of its numbers among these.
        """

        def mean(values: Numbers) -> Numbers:
            return np.array([values[list(places)].mean() for places in of])

        filled = self.value[:, None] + self.shifts
        shape = (len(of), self.kept.shape[1])
        kept = np.array([filled[list(places)].mean(axis=0) for places in of]).reshape(shape)
        is_known = np.isfinite(self.kept)
        entered = np.array([is_known[list(places)].any(axis=0) for places in of]).reshape(shape)
        return Sides(
            value=mean(self.value),
            low=mean(self.low),
            high=mean(self.high),
            uncounted=mean(self.uncounted),
            num_groups=np.array([self.num_groups[list(places)].max() for places in of]),
            num_seeds=np.ones(len(of)),
            kept=np.where(entered, kept, np.nan),
            widening=np.array([self.widening[list(places)].max() for places in of]),
        )

    @property
    def has_interval(self) -> Bool[np.ndarray, " differences"]:
        """Whether each has a number and an interval."""
        return np.asarray(np.isfinite(self.value + self.low + self.high))

    @property
    def shifts(self) -> Kept:
        """What leaving out each group does to each number; 0 where it has no rows of the group."""
        return np.asarray(np.nan_to_num(self.kept - self.value[:, None]))

    @property
    def degrees(self) -> Numbers:
        """Degrees of freedom of each one's own interval."""
        units = np.where(self.num_seeds > 1, self.num_seeds, self.num_groups)
        return np.asarray(np.maximum(np.nan_to_num(units) - 1, 1.0))

    @property
    def down(self) -> Numbers:
        """Standard errors by the lower halves of their own intervals."""
        return np.asarray((self.value - self.low) / _point(self.degrees))

    @property
    def up(self) -> Numbers:
        """Standard errors by the upper halves, less what was left uncounted."""
        return np.asarray((self.high - self.uncounted - self.value) / _point(self.degrees))

    @property
    def scatter(self) -> Numbers:
        """Standard errors of means over seeds by the scatter of these alone; 0 of a single one."""
        degrees = np.maximum(np.isfinite(self.kept).sum(axis=1) - 1.0, 1.0)
        prompts = _point(degrees) * self._errors
        half = _point(self.degrees) * np.maximum(self.down, self.up)
        left = np.sqrt(np.maximum(np.square(half) - np.square(prompts), 0.0))
        return np.asarray(np.where(self.num_seeds > 1, left / _point(self.degrees), 0.0))

    @property
    def _errors(self) -> Numbers:
        """Standard errors by the numbers without each prompt group."""
        return np.asarray(np.sqrt(jackknife_variances(self.shifts, np.isfinite(self.kept))))

    def _widening(self) -> Numbers:
        errors = self._errors
        half = (self.down + self.up) / 2
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = np.where(half > 0, np.where(errors > 0, half / errors, np.nan), 1.0)
        return np.asarray(np.where(self.num_seeds > 1, 1.0, np.maximum(factor, 1.0)))


def differences(
    first: Sides, second: Sides, is_shared: Bool[np.ndarray, " differences"] | None = None
) -> tuple[Differences, Bool[np.ndarray, " differences"]]:
    """Return first less second, paired where that can be, and where it was.

    Args:
        first: one side.
        second: the other side, number by number.
        is_shared: whether a group's number means the same prompts on both sides; None: it does.
    """
    groups = max(side.kept.shape[1] for side in (first, second))
    first, second = _padded(first, groups), _padded(second, groups)
    own, other = np.isfinite(first.kept), np.isfinite(second.kept)
    widening = np.maximum(first.widening, second.widening)
    variances = jackknife_variances(first.shifts - second.shifts, own | other)
    prompts = np.sqrt(variances) * widening
    is_paired = ((own & other).sum(axis=1) >= MIN_GROUPS) & (widening <= NOT_SMOOTH)
    if is_shared is not None:
        is_paired &= is_shared

    def errors(of_first: Numbers, of_second: Numbers) -> Float64[np.ndarray, "differences 3"]:
        together = np.where(is_paired, prompts, 0.0)
        apart = [
            np.where(is_paired, side.scatter, whole)
            for side, whole in ((first, of_first), (second, of_second))
        ]
        return np.column_stack([together, *apart])

    degrees = np.maximum((own | other).sum(axis=1) - 1.0, 1.0)
    return Differences(
        value=first.value - second.value,
        below=errors(first.down, second.up),
        above=errors(first.up, second.down),
        degrees=np.column_stack([degrees, first.degrees, second.degrees]),
        lower=second.uncounted,
        higher=first.uncounted,
    ), is_paired


def _point(degrees: Numbers) -> Numbers:
    from scipy.special import stdtrit

    return np.asarray(-stdtrit(degrees, TAIL))


def _padded(side: Sides, groups: int) -> Sides:
    """Return a side with columns for this many groups."""
    missing = groups - side.kept.shape[1]
    return replace(side, kept=np.pad(side.kept, [(0, 0), (0, missing)], constant_values=np.nan))
