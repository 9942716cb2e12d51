"""DPO with the labels of a seeded half of the training pairs swapped: a null for `dpo`.

Gradients are as large and there is nothing to learn, so what it does to a model is not what
preferences do. Validation keeps the true labels.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Bool

from jobs.training.log_ratios import sigmoid_loss as validation_loss
from jobs.training.objective import BETA, Lesson, ScoredPairs
from jobs.training.preference import make_preference_trainer

__all__ = ["SETTINGS", "USES_REFERENCE", "make_trainer", "validation_loss"]

USES_REFERENCE = True
SETTINGS = {"beta": BETA}
_STREAM = 1
"""Keeps the draw of labels apart from the draw of the data order, which has the same seed."""


def make_trainer(lesson: Lesson) -> Any:
    """TRL's DPO trainer over the swapped pairs; see Objective."""
    swapped = _half(len(lesson.scored.pairs), lesson.seed)
    scored = _swap(lesson.scored, swapped)
    return make_preference_trainer(replace(lesson, scored=scored), loss="sigmoid")


def _half(num_pairs: int, seed: int) -> Bool[np.ndarray, " pairs"]:
    chosen = np.zeros(num_pairs, dtype=bool)
    chosen[np.random.default_rng([seed, _STREAM]).permutation(num_pairs)[: num_pairs // 2]] = True
    return chosen


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
