"""EXO for pairs (Ji et al., arXiv 2402.00856, equation 16): reverse KL from the labels, smoothed.

`label_smoothing` is what the rejected side gets; at 0 the divergence is infinite.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jobs.training.log_ratios import log_sigmoid, margins, sigmoid
from jobs.training.objective import BETA, Lesson, ScoredPairs, Setting
from jobs.training.preference import make_preference_trainer

USES_REFERENCE = True
SETTINGS = {"beta": BETA, "label_smoothing": Setting(default=1e-3)}


def make_trainer(lesson: Lesson) -> Any:
    """TRL's trainer with this loss; see Objective."""
    return make_preference_trainer(lesson, loss="exo_pair")


def validation_loss(
    policy: ScoredPairs, reference: ScoredPairs, settings: Mapping[str, float]
) -> float:
    """The mean over the pairs."""
    scaled, smoothing = settings["beta"] * margins(policy, reference), settings["label_smoothing"]
    preferred = sigmoid(scaled) * (log_sigmoid(scaled) - np.log1p(-smoothing))
    other = sigmoid(-scaled) * (log_sigmoid(-scaled) - np.log(smoothing))
    return float((preferred + other).mean())
