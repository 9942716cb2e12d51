"""SLiC's hinge (Zhao et al., arXiv 2305.10425) on DPO's margin: past 1 / beta, nothing is asked."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jobs.training.log_ratios import margins
from jobs.training.objective import BETA, Lesson, ScoredPairs
from jobs.training.preference import make_preference_trainer

USES_REFERENCE = True
SETTINGS = {"beta": BETA}


def make_trainer(lesson: Lesson) -> Any:
    """TRL's trainer with this loss; see Objective."""
    return make_preference_trainer(lesson, loss="hinge")


def validation_loss(
    policy: ScoredPairs, reference: ScoredPairs, settings: Mapping[str, float]
) -> float:
    """The mean over the pairs."""
    lacking = 1 - settings["beta"] * margins(policy, reference)
    return float(np.maximum(lacking, 0.0).mean())
