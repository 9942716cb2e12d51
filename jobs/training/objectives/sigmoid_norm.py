"""DPO on length-normalised log-ratios (Tulu 3, arXiv 2411.15124): each divided by its tokens.

A margin per token is much smaller than DPO's; a beta of the same pull is much larger.
"""

from jobs.training.preference import Pairs, PreferenceObjective, Settings, log_sigmoid


class SigmoidNorm(PreferenceObjective):
    """-log sigmoid(beta margin), with the margin per token."""

    LOSS = "sigmoid_norm"
    PER_TOKEN = True

    def validation_losses(self, chosen: Pairs, rejected: Pairs, settings: Settings) -> Pairs:
        """Compute the loss of each pair."""
        return -log_sigmoid(settings["beta"] * (chosen - rejected))
