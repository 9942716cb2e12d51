"""Objective `my-entry`: DPO's loss, past a margin of 1 / beta nothing more is asked.

The contract is jobs/training/objective.py, that of losses over DPO's log-ratios
jobs/training/preference.py; docs/howto/adding-an-objective.md says more.
"""

import numpy as np

from jobs.training.preference import Pairs, PreferenceObjective, Settings


class MyEntry(PreferenceObjective):
    """max(0, 1 - beta margin): what training minimises is TRL's loss of the name LOSS."""

    LOSS = "hinge"

    def validation_losses(self, chosen: Pairs, rejected: Pairs, settings: Settings) -> Pairs:
        """Compute the loss of each validation pair, which must be the same."""
        return np.maximum(1 - settings["beta"] * (chosen - rejected), 0.0)
