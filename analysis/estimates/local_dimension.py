"""The dimension that distances to neighbours tell, at several scales, and how far it may be off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, floor, log10

import numpy as np
from jaxtyping import Float64, Int64

from analysis.estimates.evaluation import UnmeasurableError
from analysis.estimates.intervals import Estimate, jackknife
from analysis.rows.neighbours import Neighbours
from analysis.status import Status

SCALES = (2, 3, 5, 9, 17)
"""Neighbours that each reading looks at: the distances at which it reads double in volume."""
FINEST, MIDDLE, COARSEST = 0, 2, -1
OVERSTATED = 1.5
"""How many times too wide the jackknife is, at the least. A group that is left out takes neighbours
from the rows that stay, so that what rows do together counts two and three times (Efron and Stein
1981, *The jackknife estimate of variance*). Over 45 sets of rows of 1 to 64 dimensions, at 45, 90
and 200 prompts, it was 1.7 times too wide on the median, alike at two neighbours and between five
and seventeen; in 9 of 10 sets 1.5 to 2.0, which is what 60 draws of each leave of one number."""
MOST_LEFT = 0.25
"""By how much neighbours that are nearer still may change the number, at most."""
STEADY = 0.03
"""Change between 2, 3 or 5 neighbours and 17 that is no matter, beyond what its error explains."""
FURTHEST_PLAN = 1000
"""Times as many prompts up to which it is said how many are needed."""


def left_over(dimension: float) -> float:
    """Return what is left of a bias, over its change between 5 and 17 neighbours.

    Of rows that end somewhere a reading at k neighbours is off by ((k - 1) / N) to the power of
    1 / dimension: a row near the edge has neighbours on one side alone. Curvature and an uneven
    density vanish faster, as 2 / dimension.
    """
    sizes = [(SCALES[at] - 1.0) ** (1 / dimension) for at in (MIDDLE, COARSEST)]
    return float(1 / (sizes[1] - sizes[0]))


def dimensions_told(num_prompts: int) -> int:
    """Return of how many dimensions so many prompts mostly tell the number.

    Of m normal coordinates the change is about 0.03, and its error a root of prompts. Answered were
    83 of 100 draws of two coordinates at 45 prompts, 57 of three at 90, 56 of four at 200, 13 of 20
    of five at 500, all of ten of six at 1,000.
    """
    return max(
        (m for m in range(1, 30) if left_over(m) * (0.03 + 1.63 / num_prompts**0.5) <= MOST_LEFT),
        default=0,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class LocalDimension:
    """Logarithms of the dimension as read at each of SCALES.

    Levina and Bickel 2004, *Maximum likelihood estimation of intrinsic dimension*, averaged over
    rows as MacKay and Ghahramani do: N (k - 1) - 1 over the sum of log(r_k / r_j), j < k. At two
    neighbours it is TwoNN.
    """

    whole: Float64[np.ndarray, " scales"]
    """The readings of all rows."""
    found: Float64[np.ndarray, "groups scales"]
    """Without each group, neighbours found anew."""
    fixed: Float64[np.ndarray, "groups scales"]
    """Without each group's part of the sums, neighbours as they are."""
    counts: Float64[np.ndarray, " groups"]
    """Rows of each group."""

    @classmethod
    def of(
        cls, rows: Float64[np.ndarray, "n d"], owners: Int64[np.ndarray, " n"]
    ) -> LocalDimension:
        """Read the dimension of different rows of groups 0, 1, ….

        Raises:
            UnmeasurableError: without a group some rows have fewer than 17 neighbours, or all
                neighbours are at one distance.
        """
        most, kept = SCALES[COARSEST], min(3 * SCALES[COARSEST], len(rows) - 1)
        while True:
            neighbours = Neighbours.of(rows, kept)
            left = [
                None if kept < most else neighbours.without(owners == group, most)
                for group in range(int(owners.max()) + 1)
            ]
            found = [_sums(each) for each in left if each is not None]
            if len(found) == len(left):
                break
            if kept == len(rows) - 1:
                reason = (
                    f"{len(rows)} different rows: its interval needs {most} neighbours of every "
                    f"row in other groups, about {2 * most} prompts"
                )
                raise UnmeasurableError(reason, Status.TOO_FEW_ROWS)
            kept = min(2 * kept, len(rows) - 1)
        sums = _sums(neighbours.logarithms[:, :most])
        counts = np.bincount(owners).astype(np.float64)
        parts = np.stack([np.bincount(owners, weights=column) for column in sums.T], axis=1)
        left_counts = counts.sum() - counts
        return cls(
            whole=_logarithms(parts.sum(axis=0), counts.sum()),
            found=_logarithms(np.stack([each.sum(axis=0) for each in found]), left_counts[:, None]),
            fixed=_logarithms(parts.sum(axis=0) - parts, left_counts[:, None]),
            counts=counts,
        )

    def estimate(self) -> Estimate:
        """Return the dimension at two neighbours, with an interval of what all scales say.

        The interval holds that of every scale; that of the number at two neighbours with the bias
        that is left taken off; and, as noise moves the number where the rows' own dimension shows
        further away, that of 17 neighbours moved on as far as it has come from 5.

        Raises:
            UnmeasurableError: what is left of the bias is not shown to be small.
        """
        contrasts = np.eye(len(SCALES))
        movement = contrasts[MIDDLE] - contrasts[COARSEST]
        factor = left_over(exp(self.whole.max()))
        beyond = contrasts[FINEST] + factor * movement, contrasts[COARSEST] - movement
        contrasts = np.vstack([contrasts, *beyond])
        self._require_steady(movement, factor)
        values, halves = contrasts @ self.whole, np.array([self._half(each) for each in contrasts])
        return Estimate(
            value=exp(values[FINEST]),
            low=exp((values - halves).min()),
            high=exp((values + halves).max()),
            left_out=tuple(np.exp(self.found[:, FINEST]).tolist()),
        )

    def _half(self, contrast: Float64[np.ndarray, " scales"]) -> float:
        """Return the half-width of a sum over scales: of both ways to leave out, the wider.

        Held fixed, neighbours hide what rows do together; the groups' own difference they show.
        """
        whole = float(self.whole @ contrast)
        widths = (
            (jackknife(whole, left @ contrast, self.counts), over)
            for left, over in ((self.found, OVERSTATED), (self.fixed, 1.0))
        )
        return max(
            float("inf") if each.high is None else (each.high - whole) / over
            for each, over in widths
        )

    def _require_steady(self, movement: Float64[np.ndarray, " scales"], factor: float) -> None:
        """Refuse a number that may move by much, or surely moves, as neighbours come nearer."""
        moved, error = abs(float(self.whole @ movement)), self._half(movement)
        ways = np.eye(len(SCALES))[: MIDDLE + 1] - np.eye(len(SCALES))[COARSEST]
        surely = max(abs(float(self.whole @ way)) - self._half(way) for way in ways)
        slowest = 1 / exp(self.whole.max())

        def is_steady(times: float) -> bool:
            """Tell whether so many times the prompts would show it: bias goes slowest at edges."""
            bias, chance = times**-slowest, times**-0.5
            may_move = factor * (moved * bias + error * chance)
            return bool(may_move <= MOST_LEFT and surely * bias <= STEADY)

        if is_steady(1.0):
            return
        enough = [times for times in np.geomspace(1.1, FURTHEST_PLAN, 200) if is_steady(times)]
        finest, coarsest = np.exp(self.whole[[FINEST, COARSEST]])
        reason = (
            f"{finest:.3g} dimensions between two nearest neighbours, {coarsest:.3g} between "
            f"{SCALES[COARSEST]}: it is not shown that nearer ones would change the number by "
            f"less than {MOST_LEFT:.0%}; {self._needed(enough)} prompts are needed"
        )
        raise UnmeasurableError(reason, Status.TOO_FEW_ROWS)

    def _needed(self, times: Sequence[float]) -> str:
        """Say how many prompts are needed, to two digits."""
        if not times:
            return f"over {FURTHEST_PLAN:,} times as many"
        number = times[0] * float(self.counts.sum())
        return f"about {round(number, 1 - floor(log10(number))):,.0f}"


def _sums(logarithms: Float64[np.ndarray, "rows kept"]) -> Float64[np.ndarray, "rows scales"]:
    """Sum log(r_k / r_j) over the neighbours j of every row that are nearer than its k-th."""
    nearer = np.cumsum(logarithms, axis=1)
    return np.stack([(k - 1) * logarithms[:, k - 1] - nearer[:, k - 2] for k in SCALES], axis=1)


def _logarithms(
    sums: Float64[np.ndarray, "*any scales"], num_rows: float | Float64[np.ndarray, "groups 1"]
) -> Float64[np.ndarray, "*any scales"]:
    """Return the logarithms of the dimension from sums over so many rows."""
    if not (sums > 0).all():
        raise UnmeasurableError("every row has its two neighbours at one distance")
    return np.asarray(np.log(num_rows * (np.array(SCALES) - 1.0) - 1) - np.log(sums))
