"""SLiC's hinge (Zhao et al., arXiv 2305.10425) on DPO's margin: past 1 / beta, nothing is asked."""

from collections.abc import Mapping

import numpy as np

from jobs.training.log_ratios import Pairs
from jobs.training.preference import PreferenceObjective


class Hinge(PreferenceObjective):
    """max(0, 1 - beta margin)."""

    LOSS = "hinge"

    def losses(self, chosen: Pairs, rejected: Pairs, settings: Mapping[str, float]) -> Pairs:
        """Compute the loss of each pair."""
        losses: Pairs = np.maximum(1 - settings["beta"] * (chosen - rejected), 0.0)
        return losses
