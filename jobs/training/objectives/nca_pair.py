"""NCA for pairs (Chen et al., arXiv 2402.05369): the chosen likelihood is kept from falling."""

from jobs.training.preference import Pairs, PreferenceObjective, Settings, log_sigmoid


class NcaPair(PreferenceObjective):
    """-log sigmoid(c) - (log sigmoid(-c) + log sigmoid(-r)) / 2, with beta times the log-ratios."""

    LOSS = "nca_pair"

    def validation_losses(self, chosen: Pairs, rejected: Pairs, settings: Settings) -> Pairs:
        """Compute the loss of each pair."""
        up, down = settings["beta"] * chosen, settings["beta"] * rejected
        return -(log_sigmoid(up) + 0.5 * log_sigmoid(-up) + 0.5 * log_sigmoid(-down))
