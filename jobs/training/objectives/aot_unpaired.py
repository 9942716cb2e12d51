"""AOT (Melnyk et al., arXiv 2406.05882), unpaired: chosen log-ratios, sorted, over rejected ones.

Which rejected completion belongs to which chosen one is not used.
"""

from collections.abc import Mapping

import numpy as np

from jobs.training.log_ratios import Pairs, sorted_losses
from jobs.training.objective import BETA
from jobs.training.preference import SMOOTHING, PreferenceObjective


class AotUnpaired(PreferenceObjective):
    """-log sigmoid(beta (c - r)), with c and r the sorted log-ratios of chosen and of rejected."""

    LOSS = "aot_unpaired"
    SETTINGS = {"beta": BETA, "label_smoothing": SMOOTHING}
    WHOLE_BATCH = True
    """The pairs of a forward pass are sorted."""

    def losses(self, chosen: Pairs, rejected: Pairs, settings: Mapping[str, float]) -> Pairs:
        """Compute the loss of each place in the sorted order."""
        return sorted_losses(np.sort(chosen) - np.sort(rejected), settings)
