"""Log-spaced histograms of values that are not negative: mergeable, with quantiles to 1 %."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int64

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
        """The neutral element of `merge`."""
        counts = np.zeros(1 + NUM_BINS, dtype=np.int64)
        return cls(counts=counts, total=0.0, smallest=np.inf, largest=-np.inf)

    @classmethod
    def from_values(cls, values: Float[np.ndarray, " rows"]) -> Histogram:
        """Count finite values >= 0."""
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
        """Values counted, zeros included."""
        return int(self.counts.sum())

    @property
    def num_zeros(self) -> int:
        """Values that are exactly zero."""
        return int(self.counts[0])

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
        """Counts over the values of both."""
        return Histogram(
            counts=self.counts + other.counts,
            total=self.total + other.total,
            smallest=min(self.smallest, other.smallest),
            largest=max(self.largest, other.largest),
        )

    def quantile(self, share: float) -> float:
        """The value below which `share` of the values lie, 0 < share < 1, to 1 %.

        Raises:
            ValueError: there are no values.
        """
        if self.num_values == 0:
            raise ValueError("an empty histogram has no quantiles")
        occupied = np.flatnonzero(self.counts)
        found = quantiles_of_counts(self.counts[None, occupied].astype(np.float64), occupied, share)
        return float(np.clip(found[0], self.smallest, self.largest))

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Plain arrays for a safetensors file; only occupied columns are kept."""
        columns = np.flatnonzero(self.counts)
        return {
            "columns": columns.astype(np.int64),
            "counts": self.counts[columns],
            "range": np.array([self.total, self.smallest, self.largest]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Histogram:
        """The inverse of `to_arrays`."""
        counts = np.zeros(1 + NUM_BINS, dtype=np.int64)
        counts[arrays["columns"]] = arrays["counts"]
        total, smallest, largest = (float(value) for value in arrays["range"])
        return cls(counts=counts, total=total, smallest=smallest, largest=largest)


def quantiles_of_counts(
    counts: Float64[np.ndarray, "draws columns"],
    columns: Int64[np.ndarray, " columns"],
    share: float,
) -> Float64[np.ndarray, " draws"]:
    """One quantile per row of (weighted) counts, interpolated within its bin in the logarithm.

    Args:
        counts: weight in each of the given columns; every row has some weight.
        columns: ascending column numbers of a `Histogram`.
        share: the quantile asked for, strictly between 0 and 1.
    """
    reached = np.cumsum(counts, axis=1)
    target = share * reached[:, -1]
    at = (reached < target[:, None]).sum(axis=1)
    draw = np.arange(len(counts))
    inside = 1.0 - (reached[draw, at] - target) / counts[draw, at]
    values = 10.0 ** (LOWEST_DECADE + (columns[at] - 1 + inside) / BINS_PER_DECADE)
    return np.where(columns[at] == 0, 0.0, values)
