"""APO-zero (D'Oosterlinck et al., arXiv 2408.06266, equation 7): chosen up, rejected down."""

from jobs.training.preference import Pairs, PreferenceObjective, Settings, sigmoid


class ApoZero(PreferenceObjective):
    """sigmoid(-beta c) + sigmoid(beta r), with log-ratios c and r of chosen and rejected."""

    LOSS = "apo_zero"

    def validation_losses(self, chosen: Pairs, rejected: Pairs, settings: Settings) -> Pairs:
        """Compute the loss of each pair."""
        return sigmoid(-settings["beta"] * chosen) + sigmoid(settings["beta"] * rejected)
