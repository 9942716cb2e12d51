"""Direct preference optimisation: the chosen completion over the rejected, tied to a reference.

Training minimises the loss of TRL that LOSS names; the formula here is for validation pairs.
"""

from jobs.training.preference import Pairs, PreferenceObjective, Settings, log_sigmoid


class Dpo(PreferenceObjective):
    """-log sigmoid(beta margin); Rafailov et al. (arXiv 2305.18290), equation 7."""

    LOSS = "sigmoid"

    def validation_losses(self, chosen: Pairs, rejected: Pairs, settings: Settings) -> Pairs:
        """Compute the loss of each pair."""
        return -log_sigmoid(settings["beta"] * (chosen - rejected))
