"""DiscoPOP (Lu et al., arXiv 2406.08414, equation 5): logistic and exponential loss, blended.

`discopop_tau` is the width of the blend, in units of beta times the margin.
"""

import numpy as np

from jobs.training.objective import BETA, Setting
from jobs.training.preference import Pairs, PreferenceObjective, Settings, log_sigmoid, sigmoid

TAU = Setting(
    description="Width of the blend of the logistic and the exponential loss.", default=0.05
)
"""In units of beta times the margin."""


class Discopop(PreferenceObjective):
    """-(1 - w) log sigmoid(x) + w exp(-x), with x = beta margin and w = sigmoid(x / tau)."""

    LOSS = "discopop"
    SETTINGS = {"beta": BETA, "discopop_tau": TAU}

    def validation_losses(self, chosen: Pairs, rejected: Pairs, settings: Settings) -> Pairs:
        """Compute the loss of each pair."""
        scaled = settings["beta"] * (chosen - rejected)
        exponential = sigmoid(scaled / settings["discopop_tau"])
        return (1 - exponential) * -log_sigmoid(scaled) + exponential * np.exp(-scaled)
