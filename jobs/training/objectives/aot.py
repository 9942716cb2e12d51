"""AOT (Melnyk et al., arXiv 2406.05882), paired: sorted margins of the policy over the reference's.

Chosen minus rejected is compared as a distribution over the batch, not pair by pair.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jobs.training.log_ratios import sorted_loss
from jobs.training.objective import BETA, Lesson, ScoredPairs, Setting
from jobs.training.preference import make_preference_trainer

USES_REFERENCE = True
SETTINGS = {"beta": BETA, "label_smoothing": Setting(default=0.0, may_be_zero=True)}
WHOLE_BATCH = True
"""It sorts the pairs of a forward pass."""


def make_trainer(lesson: Lesson) -> Any:
    """TRL's trainer with this loss; see Objective."""
    return make_preference_trainer(lesson, loss="aot")


def validation_loss(
    policy: ScoredPairs, reference: ScoredPairs, settings: Mapping[str, float]
) -> float:
    """Sorted over all the pairs, where training sorts each batch."""
    assert policy.chosen is not None and policy.rejected is not None
    assert reference.chosen is not None and reference.rejected is not None
    preferred = np.sort(policy.chosen - policy.rejected)
    return sorted_loss(preferred - np.sort(reference.chosen - reference.rejected), settings)
