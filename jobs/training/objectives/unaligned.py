"""No objective: the model stays as it is, a control for what the instrument sees without one."""

from collections.abc import Mapping
from typing import Any

from jobs.training.objective import Lesson, ScoredPairs, Setting

USES_REFERENCE = False
SETTINGS: Mapping[str, Setting] = {}
TRAINS = False


def make_trainer(lesson: Lesson) -> Any:
    """There is none; see Objective."""
    raise AssertionError("nothing is trained")


def validation_loss(
    policy: ScoredPairs, reference: ScoredPairs, settings: Mapping[str, float]
) -> float:
    """There is none; see Objective."""
    raise AssertionError("nothing is trained")
