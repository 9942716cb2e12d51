"""DPO with the labels of a seeded half of the training pairs swapped: a null for `dpo`.

Gradients are as large and there is nothing to learn, so what it does to a model is not what
preferences do. Validation keeps the true labels.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool

from jobs.training.objective import Lesson, ScoredPairs
from jobs.training.objectives.dpo import Dpo

if TYPE_CHECKING:
    from jobs.training.supervision import Supervised

_STREAM = 1
"""Keeps the draw of labels apart from the draw of the data order, which has the same seed."""


class DpoShuffled(Dpo):
    """`dpo` on training pairs of which half have chosen and rejected exchanged."""

    def make_trainer(self, lesson: Lesson) -> Supervised:
        """Make a supervised DPO trainer over the pairs with half of the labels swapped."""
        swapped = _draw_half(len(lesson.scored.pairs), lesson.seed)
        return super().make_trainer(replace(lesson, scored=_swap(lesson.scored, swapped)))


def _draw_half(num_pairs: int, seed: int) -> Bool[np.ndarray, " pairs"]:
    drawn = np.zeros(num_pairs, dtype=bool)
    drawn[np.random.default_rng([seed, _STREAM]).permutation(num_pairs)[: num_pairs // 2]] = True
    return drawn


def _swap(scored: ScoredPairs, swapped: Bool[np.ndarray, " pairs"]) -> ScoredPairs:
    assert scored.chosen is not None and scored.rejected is not None
    return ScoredPairs(
        pairs=[
            replace(pair, chosen_ids=pair.rejected_ids, rejected_ids=pair.chosen_ids)
            if swap
            else pair
            for pair, swap in zip(scored.pairs, swapped, strict=True)
        ],
        chosen=np.where(swapped, scored.rejected, scored.chosen),
        rejected=np.where(swapped, scored.chosen, scored.rejected),
    )
