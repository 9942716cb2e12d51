"""NCA for pairs (Chen et al., arXiv 2402.05369): the chosen likelihood is kept from falling."""

from collections.abc import Mapping

from jobs.training.log_ratios import Pairs, log_sigmoid
from jobs.training.preference import PreferenceObjective


class NcaPair(PreferenceObjective):
    """-log sigmoid(c) - (log sigmoid(-c) + log sigmoid(-r)) / 2, with beta times the log-ratios."""

    LOSS = "nca_pair"

    def losses(self, chosen: Pairs, rejected: Pairs, settings: Mapping[str, float]) -> Pairs:
        """Compute the loss of each pair."""
        up, down = settings["beta"] * chosen, settings["beta"] * rejected
        losses: Pairs = -(log_sigmoid(up) + 0.5 * log_sigmoid(-up) + 0.5 * log_sigmoid(-down))
        return losses
