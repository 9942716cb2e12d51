"""Direct preference optimisation: the chosen completion over the rejected, tied to a reference."""

from typing import Any

from jobs.training.log_ratios import sigmoid_loss as validation_loss
from jobs.training.objective import BETA, Lesson
from jobs.training.preference import make_preference_trainer

__all__ = ["SETTINGS", "USES_REFERENCE", "make_trainer", "validation_loss"]

USES_REFERENCE = True
SETTINGS = {"beta": BETA}


def make_trainer(lesson: Lesson) -> Any:
    """TRL's DPO trainer over the pairs as they are; see Objective."""
    return make_preference_trainer(lesson, loss="sigmoid")
