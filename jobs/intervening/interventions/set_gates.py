"""act(gate) = dose for toxic neurons: un-alignment of gated families (Lee et al. 2024, table 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.intervening.intervention import OnNeurons

if TYPE_CHECKING:
    from torch import Tensor


class SetGates(OnNeurons):
    """The gates of toxic neurons, set to the dose."""

    DEFINITION = "the gates of toxic neurons are set to the dose"
    DOSES = (1.0,)
    PLACE = "mlp_gate"

    def shift(self, dose: float, x: Tensor) -> Tensor:
        """Compute what is left from gates `x` to the dose."""
        return dose - x
