"""IPO (Azar et al., arXiv 2310.12036, equation 17): the margin pulled to 1 / (2 beta), not beyond.

As TRL does it and the authors did, log-ratios are divided by the tokens of their completion.
"""

from collections.abc import Mapping
from typing import Any

from jobs.training.log_ratios import margins_per_token
from jobs.training.objective import BETA, Lesson, ScoredPairs
from jobs.training.preference import make_preference_trainer

USES_REFERENCE = True
SETTINGS = {"beta": BETA}


def make_trainer(lesson: Lesson) -> Any:
    """TRL's trainer with this loss; see Objective."""
    return make_preference_trainer(lesson, loss="ipo")


def validation_loss(
    policy: ScoredPairs, reference: ScoredPairs, settings: Mapping[str, float]
) -> float:
    """The mean over the pairs."""
    missed = margins_per_token(policy, reference) - 0.5 / settings["beta"]
    return float((missed**2).mean())
