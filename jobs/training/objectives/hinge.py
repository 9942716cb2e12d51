"""SLiC's hinge (Zhao et al., arXiv 2305.10425) on DPO's margin: past 1 / beta, nothing is asked."""

import numpy as np

from jobs.training.preference import Pairs, PreferenceObjective, Settings


class Hinge(PreferenceObjective):
    """max(0, 1 - beta margin)."""

    LOSS = "hinge"

    def validation_losses(self, chosen: Pairs, rejected: Pairs, settings: Settings) -> Pairs:
        """Compute the loss of each pair."""
        return np.maximum(1 - settings["beta"] * (chosen - rejected), 0.0)
