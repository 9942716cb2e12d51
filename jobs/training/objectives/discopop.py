"""DiscoPOP (Lu et al., arXiv 2406.08414, equation 5): logistic and exponential loss, blended.

`discopop_tau` is the width of the blend, in units of beta times the margin.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jobs.training.log_ratios import log_sigmoid, margins, sigmoid
from jobs.training.objective import BETA, Lesson, ScoredPairs, Setting
from jobs.training.preference import make_preference_trainer

USES_REFERENCE = True
SETTINGS = {"beta": BETA, "discopop_tau": Setting(default=0.05)}


def make_trainer(lesson: Lesson) -> Any:
    """TRL's trainer with this loss; see Objective."""
    return make_preference_trainer(lesson, loss="discopop")


def validation_loss(
    policy: ScoredPairs, reference: ScoredPairs, settings: Mapping[str, float]
) -> float:
    """The mean over the pairs."""
    scaled = settings["beta"] * margins(policy, reference)
    exponential = sigmoid(scaled / settings["discopop_tau"])
    losses = (1 - exponential) * -log_sigmoid(scaled) + exponential * np.exp(-scaled)
    return float(losses.mean())
