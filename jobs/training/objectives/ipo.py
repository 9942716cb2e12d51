"""IPO (Azar et al., arXiv 2310.12036, equation 17): the margin pulled to 1 / (2 beta), not beyond.

As TRL does it and the authors did, log-ratios are divided by the tokens of their completion.
"""

from jobs.training.preference import Pairs, PreferenceObjective, Settings


class Ipo(PreferenceObjective):
    """(margin per token - 1 / (2 beta)) squared."""

    LOSS = "ipo"
    PER_TOKEN = True

    def validation_losses(self, chosen: Pairs, rejected: Pairs, settings: Settings) -> Pairs:
        """Compute the loss of each pair."""
        return (chosen - rejected - 0.5 / settings["beta"]) ** 2
