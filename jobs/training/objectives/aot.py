"""AOT (Melnyk et al., arXiv 2406.05882), paired: sorted margins of the policy over the reference's.

Chosen minus rejected is compared as a distribution over the batch, not pair by pair.
"""

import numpy as np

from jobs.training.objective import ScoredPairs
from jobs.training.objectives.aot_unpaired import AotUnpaired, sorted_losses
from jobs.training.preference import Settings


class Aot(AotUnpaired):
    """-log sigmoid(beta (p - q)), with p and q the sorted margins of policy and reference."""

    LOSS = "aot"

    def validation_loss(
        self, policy: ScoredPairs, reference: ScoredPairs, settings: Settings
    ) -> float:
        """Average over all the pairs, sorted together, where training sorts each batch."""
        assert policy.chosen is not None and policy.rejected is not None
        assert reference.chosen is not None and reference.rejected is not None
        before = np.sort(reference.chosen - reference.rejected)
        differences = np.sort(policy.chosen - policy.rejected) - before
        return float(sorted_losses(differences, settings).mean())
