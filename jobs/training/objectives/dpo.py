"""Direct preference optimisation: the chosen completion over the rejected, tied to a reference."""

from jobs.training.preference import Pairs, PreferenceObjective, Settings, log_sigmoid


class Dpo(PreferenceObjective):
    """-log sigmoid(beta margin); Rafailov et al. (arXiv 2305.18290), equation 7."""

    LOSS = "sigmoid"

    def losses(self, chosen: Pairs, rejected: Pairs, settings: Settings) -> Pairs:
        """Compute the loss of each pair."""
        return -log_sigmoid(settings["beta"] * (chosen - rejected))
