"""AOT (Melnyk et al., arXiv 2406.05882), unpaired: chosen log-ratios, sorted, over rejected ones.

Which rejected completion belongs to which chosen one is not used.
"""

import numpy as np

from jobs.training.objective import BETA
from jobs.training.preference import SMOOTHING, Pairs, PreferenceObjective, Settings, log_sigmoid


class AotUnpaired(PreferenceObjective):
    """-log sigmoid(beta (c - r)), with c and r the sorted log-ratios of chosen and of rejected."""

    LOSS = "aot_unpaired"
    SETTINGS = {"beta": BETA, "label_smoothing": SMOOTHING}
    WHOLE_BATCH = True
    """The pairs of a forward pass are sorted."""

    def validation_losses(self, chosen: Pairs, rejected: Pairs, settings: Settings) -> Pairs:
        """Compute the loss of each place in the sorted order."""
        return sorted_losses(np.sort(chosen) - np.sort(rejected), settings)


def sorted_losses(values: Pairs, settings: Settings) -> Pairs:
    """Return the smoothed -log sigmoid of differences between sorted values, for both `aot`."""
    beta, smoothing = settings["beta"], settings["label_smoothing"]
    agreed, disagreed = log_sigmoid(beta * values), log_sigmoid(-beta * values)
    return -((1 - smoothing) * agreed + smoothing * disagreed)
