"""NCA for pairs (Chen et al., arXiv 2402.05369): the chosen likelihood is kept from falling."""

from collections.abc import Mapping
from typing import Any

from jobs.training.log_ratios import log_ratios, log_sigmoid
from jobs.training.objective import BETA, Lesson, ScoredPairs
from jobs.training.preference import make_preference_trainer

USES_REFERENCE = True
SETTINGS = {"beta": BETA}


def make_trainer(lesson: Lesson) -> Any:
    """TRL's trainer with this loss; see Objective."""
    return make_preference_trainer(lesson, loss="nca_pair")


def validation_loss(
    policy: ScoredPairs, reference: ScoredPairs, settings: Mapping[str, float]
) -> float:
    """The mean over the pairs."""
    chosen, rejected = (settings["beta"] * ratio for ratio in log_ratios(policy, reference))
    pull = log_sigmoid(chosen) + 0.5 * log_sigmoid(-chosen) + 0.5 * log_sigmoid(-rejected)
    return float(-pull.mean())
