"""DiscoPOP (Lu et al., arXiv 2406.08414, equation 5): logistic and exponential loss, blended.

`discopop_tau` is the width of the blend, in units of beta times the margin.
"""

from collections.abc import Mapping

import numpy as np

from jobs.training.log_ratios import Pairs, log_sigmoid, sigmoid
from jobs.training.objective import BETA, Setting
from jobs.training.preference import PreferenceObjective

TAU = Setting(
    description="Width of the blend of the logistic and the exponential loss.", default=0.05
)
"""In units of beta times the margin."""


class Discopop(PreferenceObjective):
    """-(1 - w) log sigmoid(x) + w exp(-x), with x = beta margin and w = sigmoid(x / tau)."""

    LOSS = "discopop"
    SETTINGS = {"beta": BETA, "discopop_tau": TAU}

    def losses(self, chosen: Pairs, rejected: Pairs, settings: Mapping[str, float]) -> Pairs:
        """Compute the loss of each pair."""
        scaled = settings["beta"] * (chosen - rejected)
        exponential = sigmoid(scaled / settings["discopop_tau"])
        losses: Pairs = (1 - exponential) * -log_sigmoid(scaled) + exponential * np.exp(-scaled)
        return losses
