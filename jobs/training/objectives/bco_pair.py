"""BCO for pairs (Jung et al., arXiv 2404.04656): each side classified by itself.

TRL's form for pairs, which leaves out the paper's running shift of the reward.
"""

from jobs.training.preference import Pairs, PreferenceObjective, Settings, log_sigmoid


class BcoPair(PreferenceObjective):
    """-log sigmoid(beta c) - log sigmoid(-beta r), with log-ratios c (chosen) and r (rejected)."""

    LOSS = "bco_pair"

    def validation_losses(self, chosen: Pairs, rejected: Pairs, settings: Settings) -> Pairs:
        """Compute the loss of each pair."""
        beta = settings["beta"]
        return -(log_sigmoid(beta * chosen) + log_sigmoid(-beta * rejected))
