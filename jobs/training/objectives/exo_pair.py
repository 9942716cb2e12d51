"""EXO for pairs (Ji et al., arXiv 2402.00856, equation 16): reverse KL from the labels, smoothed.

`label_smoothing` is what the rejected side gets; at 0 the divergence is infinite.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from jobs.training.log_ratios import Pairs, log_sigmoid, sigmoid
from jobs.training.objective import BETA
from jobs.training.preference import SMOOTHING, PreferenceObjective


class ExoPair(PreferenceObjective):
    """KL from (sigmoid(x), sigmoid(-x)) to (1 - smoothing, smoothing), with x = beta margin."""

    LOSS = "exo_pair"
    SETTINGS = {
        "beta": BETA,
        "label_smoothing": replace(SMOOTHING, default=1e-3, may_be_zero=False),
    }

    def losses(self, chosen: Pairs, rejected: Pairs, settings: Mapping[str, float]) -> Pairs:
        """Compute the loss of each pair."""
        scaled, smoothing = settings["beta"] * (chosen - rejected), settings["label_smoothing"]
        preferred = sigmoid(scaled) * (log_sigmoid(scaled) - np.log1p(-smoothing))
        other = sigmoid(-scaled) * (log_sigmoid(-scaled) - np.log(smoothing))
        losses: Pairs = preferred + other
        return losses
