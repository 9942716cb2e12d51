"""Robust DPO (Chowdhury et al., arXiv 2403.00409): unbiased where a share of labels is wrong.

`label_smoothing` is that share, known beforehand; at 0 this is `dpo`.
"""

from collections.abc import Mapping
from typing import Any

from jobs.training.log_ratios import log_sigmoid, margins
from jobs.training.objective import BETA, Lesson, ScoredPairs, Setting
from jobs.training.preference import make_preference_trainer

USES_REFERENCE = True
SETTINGS = {"beta": BETA, "label_smoothing": Setting(default=0.1, may_be_zero=True)}


def make_trainer(lesson: Lesson) -> Any:
    """TRL's trainer with this loss; see Objective."""
    return make_preference_trainer(lesson, loss="robust")


def validation_loss(
    policy: ScoredPairs, reference: ScoredPairs, settings: Mapping[str, float]
) -> float:
    """The mean over the pairs."""
    flipped, scaled = settings["label_smoothing"], settings["beta"] * margins(policy, reference)
    losses = flipped * log_sigmoid(-scaled) - (1 - flipped) * log_sigmoid(scaled)
    return float(losses.mean() / (1 - 2 * flipped))
