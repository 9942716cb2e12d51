"""BCO for pairs (Jung et al., arXiv 2404.04656): each side classified by itself.

TRL's form for pairs, which leaves out the paper's running shift of the reward.
"""

from collections.abc import Mapping
from typing import Any

from jobs.training.log_ratios import log_ratios, log_sigmoid
from jobs.training.objective import BETA, Lesson, ScoredPairs
from jobs.training.preference import make_preference_trainer

USES_REFERENCE = True
SETTINGS = {"beta": BETA}


def make_trainer(lesson: Lesson) -> Any:
    """TRL's trainer with this loss; see Objective."""
    return make_preference_trainer(lesson, loss="bco_pair")


def validation_loss(
    policy: ScoredPairs, reference: ScoredPairs, settings: Mapping[str, float]
) -> float:
    """The mean over the pairs."""
    chosen, rejected = (settings["beta"] * ratio for ratio in log_ratios(policy, reference))
    return float(-(log_sigmoid(chosen) + log_sigmoid(-rejected)).mean())
