"""SPPO with hard labels (Wu et al., arXiv 2405.00675): log-ratios pulled to +-1 / (2 beta).

The paper's is iterated on fresh samples; this is one round on the pairs at hand.
"""

from jobs.training.preference import Pairs, PreferenceObjective, Settings


class SppoHard(PreferenceObjective):
    """(c - t)^2 + (r + t)^2, with t = 1 / (2 beta) and log-ratios c of chosen and r of rejected."""

    LOSS = "sppo_hard"

    def validation_losses(self, chosen: Pairs, rejected: Pairs, settings: Settings) -> Pairs:
        """Compute the loss of each pair."""
        target = 0.5 / settings["beta"]
        return (chosen - target) ** 2 + (rejected + target) ** 2
