"""The plane in which base and aligned rows are drawn: mean δ across, the largest other variance up.

Lee et al. 2024, figure 4, with a unit axis and no z-scores: distances along it are those of δ.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64
from scipy.linalg import eigh

from analysis.rows.summary import Reservoir

MAX_FITTED = 512
"""Most rows that the component is fitted to: where they are fewer than dimensions, the Gram matrix
of both models takes 0.3 s."""
MAX_DRAWN = 64
"""Most rows that are kept to be drawn."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PrincipalPlane:
    """Coordinates of the same tokens' rows in the base and in the aligned model."""

    base: Float64[np.ndarray, "rows 2"]
    """Base rows: along the unit mean of δ, and on the first component of the rest."""
    aligned: Float64[np.ndarray, "rows 2"]
    """The same of aligned rows; both are from the mean of all rows of both models."""
    groups: Int64[np.ndarray, " rows"]
    """Prompt group of each row."""
    share: float
    """Share of the variance beside the mean's axis that the component takes, 0 to 1."""

    @classmethod
    def of(cls, reservoir: Reservoir) -> PrincipalPlane | None:
        """Fit the plane; None under 3 rows, without base rows, or where mean δ is zero.

        The component's sign is such that its largest coordinate is positive.
        """
        if reservoir.base is None or len(reservoir.rows) < 3:
            return None
        fitted = _spread_indices(len(reservoir.rows), MAX_FITTED)
        base = reservoir.base[fitted].astype(np.float64)
        delta = reservoir.rows[fitted].astype(np.float64)
        length = float(np.linalg.norm(delta.mean(axis=0)))
        if not (np.isfinite(delta).all() and np.isfinite(base).all()) or length == 0:
            return None
        both = np.concatenate([base, base + delta])
        both -= both.mean(axis=0)
        along = both @ (delta.mean(axis=0) / length)
        both -= np.outer(along, delta.mean(axis=0) / length)
        across, share = _first_component(both)
        drawn = _spread_indices(len(fitted), MAX_DRAWN)
        points = np.stack([along, across], axis=1)
        return cls(
            base=points[drawn],
            aligned=points[len(fitted) + drawn],
            groups=reservoir.groups[fitted][drawn],
            share=share,
        )

    def lines(self) -> Iterator[dict[str, float | int]]:
        """Yield one line of a table per row."""
        for base, aligned, group in zip(self.base, self.aligned, self.groups, strict=True):
            yield {
                "group": int(group),
                "base_along": float(base[0]),
                "base_across": float(base[1]),
                "aligned_along": float(aligned[0]),
                "aligned_across": float(aligned[1]),
                "share": self.share,
            }


def _first_component(
    rows: Float64[np.ndarray, "rows d"],
) -> tuple[Float64[np.ndarray, " rows"], float]:
    """Return the coordinates of centred rows on their first component, and its share."""
    is_wide = len(rows) < rows.shape[1]
    products = rows @ rows.T if is_wide else rows.T @ rows
    total = float(np.trace(products))
    if total <= 0:
        return np.zeros(len(rows)), 0.0
    last = len(products) - 1
    values, vectors = eigh(products, subset_by_index=(last, last))
    found = vectors[:, 0]
    axis = found @ rows if is_wide else found
    coordinates = found * max(values[0], 0.0) ** 0.5 if is_wide else rows @ found
    sign = 1.0 if axis[np.argmax(np.abs(axis))] >= 0 else -1.0
    return sign * coordinates, float(values[0] / total)


def _spread_indices(count: int, most: int) -> Int64[np.ndarray, " chosen"]:
    """Choose at most `most` of `count` indices, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))
