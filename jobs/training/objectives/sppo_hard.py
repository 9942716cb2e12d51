"""SPPO with hard labels (Wu et al., arXiv 2405.00675): log-ratios pulled to +-1 / (2 beta).

The paper's is iterated on fresh samples; this is one round on the pairs at hand.
"""

from collections.abc import Mapping
from typing import Any

from jobs.training.log_ratios import log_ratios
from jobs.training.objective import BETA, Lesson, ScoredPairs
from jobs.training.preference import make_preference_trainer

USES_REFERENCE = True
SETTINGS = {"beta": BETA}


def make_trainer(lesson: Lesson) -> Any:
    """TRL's trainer with this loss; see Objective."""
    return make_preference_trainer(lesson, loss="sppo_hard")


def validation_loss(
    policy: ScoredPairs, reference: ScoredPairs, settings: Mapping[str, float]
) -> float:
    """The mean over the pairs."""
    chosen, rejected = log_ratios(policy, reference)
    target = 0.5 / settings["beta"]
    return float(((chosen - target) ** 2 + (rejected + target) ** 2).mean())
