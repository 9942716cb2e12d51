"""Direct preference optimisation: the chosen completion over the rejected, tied to a reference."""

from collections.abc import Mapping

from jobs.training.log_ratios import Pairs, log_sigmoid
from jobs.training.preference import PreferenceObjective


class Dpo(PreferenceObjective):
    """-log sigmoid(beta margin); Rafailov et al. (arXiv 2305.18290), equation 7."""

    LOSS = "sigmoid"

    def losses(self, chosen: Pairs, rejected: Pairs, settings: Mapping[str, float]) -> Pairs:
        """Compute the loss of each pair."""
        losses: Pairs = -log_sigmoid(settings["beta"] * (chosen - rejected))
        return losses
