"""Log-spaced histograms of values that are not negative: mergeable, with quantiles to 1 %."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int64, Shaped

LOWEST_DECADE, HIGHEST_DECADE = -12, 6
"""Bins cover 1e-12 to 1e6; what lies outside is counted in the first or last bin."""
BINS_PER_DECADE = 128
"""One bin is a factor of 1.018, so a quantile read inside the right bin is off by less than 1 %."""
NUM_BINS = (HIGHEST_DECADE - LOWEST_DECADE) * BINS_PER_DECADE


@dataclass(frozen=True, kw_only=True, eq=False)
class Histogram:
    """Counts of values >= 0 over fixed log-spaced bins; sum, smallest and largest are exact."""

    counts: Int64[np.ndarray, " bins"]
    """Column 0 counts exact zeros, column 1 + i the values in bin i."""
    total: float
    """Sum of all values."""
    smallest: float
    """Infinity when there are no values."""
    largest: float
    """Minus infinity when there are no values."""

    @classmethod
    def empty(cls) -> Histogram:
        """Return the histogram of no values."""
        counts = np.zeros(1 + NUM_BINS, dtype=np.int64)
        return cls(counts=counts, total=0.0, smallest=np.inf, largest=-np.inf)

    @classmethod
    def from_values(cls, values: Float[np.ndarray, " rows"]) -> Histogram:
        """Make the histogram of finite values >= 0."""
        assert np.isfinite(values).all() and (values >= 0).all(), "the caller drops bad values"
        if len(values) == 0:
            return cls.empty()
        exact = values.astype(np.float64)
        positive = exact[exact > 0]
        bins = np.floor((np.log10(positive) - LOWEST_DECADE) * BINS_PER_DECADE).astype(np.int64)
        counts = np.bincount(1 + np.clip(bins, 0, NUM_BINS - 1), minlength=1 + NUM_BINS)
        counts[0] = len(exact) - len(positive)
        total, smallest, largest = (float(v) for v in (exact.sum(), exact.min(), exact.max()))
        return cls(counts=counts.astype(np.int64), total=total, smallest=smallest, largest=largest)

    @property
    def num_values(self) -> int:
        """Number of values, zeros included."""
        return int(self.counts.sum())

    @property
    def mean(self) -> float:
        """Exact mean of the values.

        Raises:
            ValueError: there are no values.
        """
        if self.num_values == 0:
            raise ValueError("an empty histogram has no mean")
        return self.total / self.num_values

    def merge(self, other: Histogram) -> Histogram:
        """Return the histogram of the values of both."""
        return Histogram(
            counts=self.counts + other.counts,
            total=self.total + other.total,
            smallest=min(self.smallest, other.smallest),
            largest=max(self.largest, other.largest),
        )

    def quantile(self, share: float) -> float:
        """Return the value below which `share` of the values lie, 0 < share < 1, to 1 %.

        Raises:
            ValueError: there are no values.
        """
        if self.num_values == 0:
            raise ValueError("an empty histogram has no quantiles")
        occupied = np.flatnonzero(self.counts)
        counts = self.counts[None, occupied].astype(np.float64)
        (value,) = quantiles_of_counts(counts, occupied, share)
        return float(np.clip(value, self.smallest, self.largest))

    def to_arrays(self, prefix: str = "") -> dict[str, np.ndarray]:
        """Return arrays for a safetensors file; only occupied columns are kept."""
        columns = np.flatnonzero(self.counts)
        return {
            f"{prefix}columns": columns.astype(np.int64),
            f"{prefix}counts": self.counts[columns],
            f"{prefix}range": np.array([self.total, self.smallest, self.largest]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], prefix: str = "") -> Histogram:
        """Read what `to_arrays` returned."""
        counts = np.zeros(1 + NUM_BINS, dtype=np.int64)
        counts[arrays[f"{prefix}columns"]] = arrays[f"{prefix}counts"]
        total, smallest, largest = (float(value) for value in arrays[f"{prefix}range"])
        return cls(counts=counts, total=total, smallest=smallest, largest=largest)


def quantiles_of_counts(
    counts: Float64[np.ndarray, "draws columns"],
    columns: Int64[np.ndarray, " columns"],
    share: float,
) -> Float64[np.ndarray, " draws"]:
    """Return one quantile per row of counts, interpolated in the logarithm within its bin.

    Args:
        counts: weight in each of the given columns; every row has some weight.
        columns: ascending column numbers of a `Histogram`.
        share: of the weight that lies below the quantile, strictly between 0 and 1.

    Returns:
        Quantiles in the unit of the histogram's values.
    """
    at, inside = find_quantile_bins(counts, share)
    values = 10.0 ** (LOWEST_DECADE + (columns[at] - 1 + inside) / BINS_PER_DECADE)
    return np.where(columns[at] == 0, 0.0, values)


def points_of_counts(
    histogram: Histogram,
) -> tuple[Float64[np.ndarray, " points"], Float64[np.ndarray, " points"]]:
    """Return where the number of values above 0 that lie below is known: at the edges of bins.

    Args:
        histogram: of at least one value above 0.

    Returns:
        Logarithms to base 10 of the edges of all occupied bins, ascending, the first and last no
        further out than the smallest and largest value; and the values above 0 up to each.
    """
    columns = 1 + np.flatnonzero(histogram.counts[1:])
    upto = np.cumsum(histogram.counts[columns]).astype(np.float64)
    before = np.concatenate([[0.0], upto[:-1]])
    upper = LOWEST_DECADE + columns / BINS_PER_DECADE
    lower = upper - 1 / BINS_PER_DECADE
    if histogram.smallest > 0:
        lower[0] = max(lower[0], min(np.log10(histogram.smallest), upper[0]))
    upper[-1] = min(upper[-1], max(np.log10(histogram.largest), lower[-1]))
    edges = np.stack([lower, upper], axis=1).ravel()
    return edges, np.stack([before, upto], axis=1).ravel()


def find_quantile_bins(
    counts: Shaped[np.ndarray, "k bins"], share: float
) -> tuple[Int64[np.ndarray, " k"], Float64[np.ndarray, " k"]]:
    """Find the bin that holds a quantile of each row of counts.

    Args:
        counts: weight in each bin; every row has some weight.
        share: of the weight that lies below the quantile, strictly between 0 and 1.

    Returns:
        The place of the bin, and the share of its width that lies below the quantile.
    """
    reached = np.cumsum(counts, axis=1)
    target = share * reached[:, -1]
    at = (reached < target[:, None]).sum(axis=1)
    row = np.arange(len(counts))
    return at, 1.0 - (reached[row, at] - target) / counts[row, at]
