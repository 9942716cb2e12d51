"""AOT (Melnyk et al., arXiv 2406.05882), unpaired: chosen log-ratios, sorted, over rejected ones.

Which rejected completion belongs to which chosen one is not used.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jobs.training.log_ratios import log_ratios, sorted_loss
from jobs.training.objective import BETA, Lesson, ScoredPairs, Setting
from jobs.training.preference import make_preference_trainer

USES_REFERENCE = True
SETTINGS = {"beta": BETA, "label_smoothing": Setting(default=0.0, may_be_zero=True)}
WHOLE_BATCH = True
"""It sorts the pairs of a forward pass."""


def make_trainer(lesson: Lesson) -> Any:
    """TRL's trainer with this loss; see Objective."""
    return make_preference_trainer(lesson, loss="aot_unpaired")


def validation_loss(
    policy: ScoredPairs, reference: ScoredPairs, settings: Mapping[str, float]
) -> float:
    """Sorted over all the pairs, where training sorts each batch."""
    chosen, rejected = log_ratios(policy, reference)
    return sorted_loss(np.sort(chosen) - np.sort(rejected), settings)
