"""DPO on length-normalised log-ratios (Tulu 3, arXiv 2411.15124): each divided by its tokens.

A margin per token is much smaller than DPO's; a beta of the same pull is much larger.
"""

from collections.abc import Mapping
from typing import Any

from jobs.training.log_ratios import log_sigmoid, margins_per_token
from jobs.training.objective import BETA, Lesson, ScoredPairs
from jobs.training.preference import make_preference_trainer

USES_REFERENCE = True
SETTINGS = {"beta": BETA}


def make_trainer(lesson: Lesson) -> Any:
    """TRL's trainer with this loss; see Objective."""
    return make_preference_trainer(lesson, loss="sigmoid_norm")


def validation_loss(
    policy: ScoredPairs, reference: ScoredPairs, settings: Mapping[str, float]
) -> float:
    """The mean over the pairs."""
    return float(-log_sigmoid(settings["beta"] * margins_per_token(policy, reference)).mean())
