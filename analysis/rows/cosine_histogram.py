"""Histograms of cosines over 2,000 equal bins: mergeable by addition, quantiles to 0.001."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64, Int64

NUM_BINS = 2000
WIDTH = 2 / NUM_BINS
"""Width of a bin; bins cover -1 to 1."""
WINDOW = 50
"""Bins that a mode looks at together: 0.05, about what is read off a published histogram."""
CENTRES = -1 + WIDTH * (np.arange(NUM_BINS) + 0.5)
"""Middle of each bin."""

Counts = Int64[np.ndarray, "k bins"]
"""One histogram in each row."""


def count_cosines(cosines: Float[np.ndarray, "vectors k"]) -> Counts:
    """A histogram of every column."""
    bins = ((cosines + 1) * (NUM_BINS / 2)).astype(np.int64)
    np.clip(bins, 0, NUM_BINS - 1, out=bins)
    columns = cosines.shape[1]
    bins += NUM_BINS * np.arange(columns)
    counts = np.bincount(bins.ravel(), minlength=NUM_BINS * columns)
    return np.asarray(counts.reshape(columns, NUM_BINS), dtype=np.int64)


def coarse(counts: Counts) -> Int64[np.ndarray, "k columns"]:
    """The same in 200 bins, for figures."""
    return np.asarray(counts.reshape(len(counts), 200, -1).sum(axis=2))


def quantiles(counts: Counts, share: float) -> Float64[np.ndarray, " k"]:
    """One quantile of each histogram (none empty), interpolated within its bin."""
    reached = np.cumsum(counts, axis=1)
    target = share * reached[:, -1]
    at = (reached < target[:, None]).sum(axis=1)
    row = np.arange(len(counts))
    inside = 1 - (reached[row, at] - target) / counts[row, at]
    return np.asarray(-1 + WIDTH * (at + inside))


def modes(counts: Counts) -> Float64[np.ndarray, " k"]:
    """Mean cosine inside the fullest window of 0.05 of each histogram (of the first, if tied)."""
    after = np.cumsum(np.pad(counts, ((0, 0), (1, 0))), axis=1)
    at = np.argmax(after[:, WINDOW:] - after[:, :-WINDOW], axis=1)
    inside = at[:, None] + np.arange(WINDOW)
    weights = np.take_along_axis(counts, inside, axis=1)
    return np.asarray((weights * CENTRES[inside]).sum(axis=1) / weights.sum(axis=1))
