"""APO-zero (D'Oosterlinck et al., arXiv 2408.06266, equation 7): chosen up, rejected down."""

from collections.abc import Mapping
from typing import Any

from jobs.training.log_ratios import log_ratios, sigmoid
from jobs.training.objective import BETA, Lesson, ScoredPairs
from jobs.training.preference import make_preference_trainer

USES_REFERENCE = True
SETTINGS = {"beta": BETA}


def make_trainer(lesson: Lesson) -> Any:
    """TRL's trainer with this loss; see Objective."""
    return make_preference_trainer(lesson, loss="apo_zero")


def validation_loss(
    policy: ScoredPairs, reference: ScoredPairs, settings: Mapping[str, float]
) -> float:
    """The mean over the pairs."""
    chosen, rejected = (settings["beta"] * ratio for ratio in log_ratios(policy, reference))
    return float((sigmoid(-chosen) + sigmoid(rejected)).mean())
