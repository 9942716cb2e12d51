"""Relative depth: which layer of a model stands at a fraction of its depth, by one written rule."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analysis.measurement import Row


def layer_at(fraction: float, num_layers: int) -> int:
    """Return the layer (from 0) at a fraction of the depth: floor(f (L - 1) + 1/2), halves go up.

    Python's own `round` sends 0.5 to 0 and 1.5 to 2, which would shift rungs against each other.
    """
    if not 0 <= fraction <= 1:
        raise ValueError(f"depth {fraction} is not between 0 and 1")
    assert num_layers >= 1
    # 0.29 * 50 is 14.499999999999998 in binary: take off the last digits before the half decides.
    return math.floor(round(fraction * (num_layers - 1), 9) + 0.5)


def depth_of(layer: int, num_layers: int) -> float:
    """Return the relative depth of a layer: 0 is the first block or a single one, 1 the last."""
    assert 0 <= layer < num_layers
    return layer / (num_layers - 1) if num_layers > 1 else 0.0


def distinct_depths(totals: Iterable[int]) -> list[float]:
    """Return one relative depth for every choice of layers that some depth makes in all models.

    A layer stands for a stretch of depths. Between two ends of such stretches nothing changes.

    Args:
        totals: how many layers each model has.
    """
    ends = {(2 * k + 1) / (2 * (n - 1)) for n in totals for k in range(n - 1)}
    return [(low + high) / 2 for low, high in pairwise(sorted({0.0, 1.0} | ends))]


def align(rows: Iterable[Row], fractions: Sequence[float]) -> list[Row]:
    """Return rows of the layers at these fractions, `depth` set to the fraction.

    A shallow model's layer may stand at several fractions; its rows then come once for each.
    Rows with no layer (behaviour) have no depth and are left out.
    """
    return [
        {**row, "depth": fraction} for row in rows for fraction in fractions if _at(row, fraction)
    ]


def _at(row: Row, fraction: float) -> bool:
    layer, num_layers = row["layer"], row["num_layers"]
    if layer is None:
        return False
    assert isinstance(num_layers, int), "a row with a layer says how many layers its model has"
    return layer == layer_at(fraction, num_layers)
