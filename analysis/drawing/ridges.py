"""Ridges: histograms of cosines above each other, each on a line of its own."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

OVERLAP = 0.9
"""Height of the highest bin, in distances between two ridges."""
FACE, EDGE = "#9ECAE1", "#0072B2"


def draw_ridge(axis: "Axes", place: int, counts: Sequence[int], bins: int) -> None:
    """Draw a filled histogram over -1 to 1 that stands at `place`, of a fixed height."""
    heights = np.asarray(counts, dtype=float).reshape(bins, -1).sum(axis=1)
    axis.stairs(
        place + OVERLAP * heights / heights.max(),
        np.linspace(-1, 1, bins + 1),
        baseline=place,
        fill=True,
        facecolor=FACE,
        edgecolor=EDGE,
        linewidth=0.7,
    )
