"""APO-zero (D'Oosterlinck et al., arXiv 2408.06266, equation 7): chosen up, rejected down."""

from collections.abc import Mapping

from jobs.training.log_ratios import Pairs, sigmoid
from jobs.training.preference import PreferenceObjective


class ApoZero(PreferenceObjective):
    """sigmoid(-beta c) + sigmoid(beta r), with log-ratios c and r of chosen and rejected."""

    LOSS = "apo_zero"

    def losses(self, chosen: Pairs, rejected: Pairs, settings: Mapping[str, float]) -> Pairs:
        """Compute the loss of each pair."""
        losses: Pairs = sigmoid(-settings["beta"] * chosen) + sigmoid(settings["beta"] * rejected)
        return losses
