"""BCO for pairs (Jung et al., arXiv 2404.04656): each side classified by itself.

TRL's form for pairs, which leaves out the paper's running shift of the reward.
"""

from collections.abc import Mapping

from jobs.training.log_ratios import Pairs, log_sigmoid
from jobs.training.preference import PreferenceObjective


class BcoPair(PreferenceObjective):
    """-log sigmoid(beta c) - log sigmoid(-beta r), with log-ratios c (chosen) and r (rejected)."""

    LOSS = "bco_pair"

    def losses(self, chosen: Pairs, rejected: Pairs, settings: Mapping[str, float]) -> Pairs:
        """Compute the loss of each pair."""
        beta = settings["beta"]
        losses: Pairs = -(log_sigmoid(beta * chosen) + log_sigmoid(-beta * rejected))
        return losses
