"""APO-down (D'Oosterlinck et al., arXiv 2408.06266, equation 8): both down, the rejected more."""

from jobs.training.preference import Pairs, PreferenceObjective, Settings, sigmoid


class ApoDown(PreferenceObjective):
    """sigmoid(beta c) + sigmoid(beta (r - c)), with log-ratios c and r of chosen and rejected."""

    LOSS = "apo_down"

    def validation_losses(self, chosen: Pairs, rejected: Pairs, settings: Settings) -> Pairs:
        """Compute the loss of each pair."""
        up, down = settings["beta"] * chosen, settings["beta"] * rejected
        return sigmoid(up) + sigmoid(down - up)
