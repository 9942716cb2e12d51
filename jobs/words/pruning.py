"""How far must words be followed so that little of their mass is left? One threshold for a sample.

What following a node does to the sums is kept as steps, each taken by thresholds below the mass of
the node. So what is left and counted at any threshold is known after one search, exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, log2, sqrt

import numpy as np
from jaxtyping import Bool, Float64, Int64

LEAST_MARGIN = 0.5
"""Share of what may be left that a sample leaves at least: below, pruning further costs more than
to follow some prompts again."""
_ONE_SIDED = 1.645
"""Standard errors that 95 % of normal draws do not exceed."""
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

    def named(self, names: Int64[np.ndarray, " prompts"]) -> Steps:
        """Return these, their prompts called otherwise."""
        return replace(self, owners=names[self.owners])

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


def threshold_for_others(steps: Steps, share: float) -> float | None:
    """Return the threshold at which prompts like these will leave at most `share`, 19 times of 20.

    It leaves less of these themselves, the less the fewer they are and the more they differ: to
    follow others a second time costs more. No less than LEAST_MARGIN of the share.
    """
    level = largest_threshold(steps, share)
    if level is None:
        return None
    taken = steps.below > level
    _, prompts = np.unique(steps.owners, return_inverse=True)
    left, counted = (
        np.bincount(prompts, np.where(taken, part, 0.0)) for part in (steps.left, steps.counted)
    )
    allowed = share * (left + counted)
    if len(left) < 2 or not allowed.sum() > 0:
        return largest_threshold(steps, LEAST_MARGIN * share)
    error = (left - allowed).std(ddof=1) / sqrt(len(left)) / allowed.mean()
    margin = min(max(1 - _ONE_SIDED * float(error), LEAST_MARGIN), 1.0)
    return largest_threshold(steps, margin * share)


def _next_lower(mass: float) -> float:
    """Return the next threshold of the grid below a mass."""
    return float(2.0 ** ((ceil(log2(mass) * _GRID) - 1) / _GRID))
