"""SPPO with hard labels (Wu et al., arXiv 2405.00675): log-ratios pulled to +-1 / (2 beta).

The paper's is iterated on fresh samples; this is one round on the pairs at hand.
"""

from collections.abc import Mapping

from jobs.training.log_ratios import Pairs
from jobs.training.preference import PreferenceObjective


class SppoHard(PreferenceObjective):
    """(c - t)^2 + (r + t)^2, with t = 1 / (2 beta) and log-ratios c of chosen and r of rejected."""

    LOSS = "sppo_hard"

    def losses(self, chosen: Pairs, rejected: Pairs, settings: Mapping[str, float]) -> Pairs:
        """Compute the loss of each pair."""
        target = 0.5 / settings["beta"]
        losses: Pairs = (chosen - target) ** 2 + (rejected + target) ** 2
        return losses
