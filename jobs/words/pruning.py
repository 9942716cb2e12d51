"""How far must words be followed so that little of their mass is left? One threshold for a sample.

What following a node does to the sums is kept as steps, each taken by thresholds below the mass of
the node. So what is left and counted at any threshold is known after one search, exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log2

import numpy as np
from jaxtyping import Bool, Float64, Int64

_GRID = 32
"""Thresholds are so many per factor of two: what the last bits of masses are decides nothing."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Steps:
    """What nodes do to what is left and counted after the prompts that own them."""

    owners: Int64[np.ndarray, " steps"]
    """Prompt of each step."""
    below: Float64[np.ndarray, " steps"]
    """The step is taken where the threshold is below this mass; infinity: always."""
    left: Float64[np.ndarray, " steps"]
    """What it adds to the mass that is left."""
    counted: Float64[np.ndarray, " steps"]
    """What it adds to the mass that is counted."""

    @classmethod
    def joined(cls, parts: Sequence[Steps]) -> Steps:
        """Join steps."""
        names = ("owners", "below", "left", "counted")
        return cls(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in names})

    def of(self, owners: Bool[np.ndarray, " prompts"]) -> Steps:
        """Return the steps of some prompts."""
        kept = owners[self.owners]
        return Steps(
            owners=self.owners[kept],
            below=self.below[kept],
            left=self.left[kept],
            counted=self.counted[kept],
        )


def largest_threshold(steps: Steps, share: float) -> float | None:
    """Return the largest threshold at which at most `share` of the mass of all prompts is left.

    None where too much is left even if all steps are taken.
    """
    order = np.argsort(-steps.below, kind="stable")
    below = steps.below[order]
    left, counted = steps.left[order].cumsum(), steps.counted[order].cumsum()
    is_last = np.append(below[1:] < below[:-1], True)  # of those with one mass
    is_enough = is_last & (left <= share * (left + counted))
    if not is_enough.any():
        return None
    least = float(below[int(is_enough.argmax())])
    return _next_lower(least) if np.isfinite(least) else 1.0


def _next_lower(mass: float) -> float:
    """Return the next threshold of the grid below a mass."""
    return float(2.0 ** ((ceil(log2(mass) * _GRID) - 1) / _GRID))
