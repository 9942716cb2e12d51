"""Histograms of cosines over 2,000 equal bins: mergeable by addition, quantiles to 0.001."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64, Int64

from analysis.rows.histogram import find_quantile_bins

NUM_BINS = 2000
WIDTH = 2 / NUM_BINS
"""Width of a bin; bins cover -1 to 1."""
WINDOW = 50
"""Bins that a mode is taken over together: 0.05, about what is read off a published histogram."""
CENTRES = -1 + WIDTH * (np.arange(NUM_BINS) + 0.5)
"""Middle of each bin."""

Counts = Int64[np.ndarray, "k bins"]
"""One histogram in each row."""


def count_cosines(cosines: Float[np.ndarray, "vectors k"]) -> Counts:
    """Count the cosines of every column.

    Args:
        cosines: from -1 to 1; rounding beyond the ends is counted in the first or last bin.

    Returns:
        A histogram of each column.
    """
    bins = ((cosines + 1) * (NUM_BINS / 2)).astype(np.int64)
    np.clip(bins, 0, NUM_BINS - 1, out=bins)
    columns = cosines.shape[1]
    bins += NUM_BINS * np.arange(columns)
    counts = np.bincount(bins.ravel(), minlength=NUM_BINS * columns)
    return np.asarray(counts.reshape(columns, NUM_BINS), dtype=np.int64)


def merge_bins(counts: Counts) -> Int64[np.ndarray, "k columns"]:
    """Merge bins to 200, for figures."""
    return np.asarray(counts.reshape(len(counts), 200, -1).sum(axis=2))


def quantiles(counts: Counts, share: float) -> Float64[np.ndarray, " k"]:
    """Return a quantile of each histogram, interpolated within its bin.

    Args:
        counts: no histogram is empty.
        share: of the cosines that lie below the quantile, strictly between 0 and 1.

    Returns:
        Cosines from -1 to 1.
    """
    at, inside = find_quantile_bins(counts, share)
    return np.asarray(-1 + WIDTH * (at + inside))


def modes(counts: Counts) -> Float64[np.ndarray, " k"]:
    """Return the mean cosine inside the fullest window of each histogram.

    Args:
        counts: no histogram is empty.

    Returns:
        Cosines from -1 to 1, of the first window where several are the fullest.
    """
    after = np.cumsum(np.pad(counts, ((0, 0), (1, 0))), axis=1)
    at = np.argmax(after[:, WINDOW:] - after[:, :-WINDOW], axis=1)
    inside = at[:, None] + np.arange(WINDOW)
    weights = np.take_along_axis(counts, inside, axis=1)
    return np.asarray((weights * CENTRES[inside]).sum(axis=1) / weights.sum(axis=1))
