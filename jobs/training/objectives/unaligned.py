"""No objective: the model stays as it is, a control for what the instrument sees without one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from jobs.training.objective import Lesson, Objective, ScoredPairs

if TYPE_CHECKING:
    from jobs.training.supervision import Supervised


class Unaligned(Objective):
    """A control that trains nothing."""

    TRAINS = False

    def make_trainer(self, lesson: Lesson) -> Supervised:
        """Refuse: there is nothing to train."""
        raise AssertionError("nothing is trained")

    def validation_loss(
        self, policy: ScoredPairs, reference: ScoredPairs, settings: Mapping[str, float]
    ) -> float:
        """Refuse: there is no loss."""
        raise AssertionError("nothing is trained")
