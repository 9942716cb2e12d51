"""Robust DPO (Chowdhury et al., arXiv 2403.00409): unbiased where a share of labels is wrong.

`label_smoothing` is that share, known beforehand; at 0 this is `dpo`.
"""

from dataclasses import replace

from jobs.training.objective import BETA, ScoredPairs
from jobs.training.preference import SMOOTHING, Pairs, PreferenceObjective, Settings, log_sigmoid


class Robust(PreferenceObjective):
    """(s log sigmoid(-x) - (1 - s) log sigmoid(x)) / (1 - 2 s), with x = beta margin."""

    LOSS = "robust"
    SETTINGS = {"beta": BETA, "label_smoothing": replace(SMOOTHING, default=0.1)}

    def validation_losses(self, chosen: Pairs, rejected: Pairs, settings: Settings) -> Pairs:
        """Compute the loss of each pair."""
        flipped, scaled = settings["label_smoothing"], settings["beta"] * (chosen - rejected)
        return flipped * log_sigmoid(-scaled) - (1 - flipped) * log_sigmoid(scaled)

    def validation_loss(
        self, policy: ScoredPairs, reference: ScoredPairs, settings: Settings
    ) -> float:
        """Average the losses of the pairs, over what flipped labels leave of the signal."""
        return super().validation_loss(policy, reference, settings) / (
            1 - 2 * settings["label_smoothing"]
        )
