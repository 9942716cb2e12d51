"""EXO for pairs (Ji et al., arXiv 2402.00856, equation 16): reverse KL from the labels, smoothed.

`label_smoothing` is what the rejected side gets; at 0 the divergence is infinite.
"""

from dataclasses import replace

import numpy as np

from jobs.training.objective import BETA
from jobs.training.preference import (
    SMOOTHING,
    Pairs,
    PreferenceObjective,
    Settings,
    log_sigmoid,
    sigmoid,
)


class ExoPair(PreferenceObjective):
    """KL from (sigmoid(x), sigmoid(-x)) to (1 - smoothing, smoothing), with x = beta margin."""

    LOSS = "exo_pair"
    SETTINGS = {
        "beta": BETA,
        "label_smoothing": replace(SMOOTHING, default=1e-3, may_be_zero=False),
    }

    def validation_losses(self, chosen: Pairs, rejected: Pairs, settings: Settings) -> Pairs:
        """Compute the loss of each pair."""
        scaled, smoothing = settings["beta"] * (chosen - rejected), settings["label_smoothing"]
        preferred = sigmoid(scaled) * (log_sigmoid(scaled) - float(np.log1p(-smoothing)))
        other = sigmoid(-scaled) * (log_sigmoid(-scaled) - float(np.log(smoothing)))
        return preferred + other
