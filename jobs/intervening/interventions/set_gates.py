"""act(gate) = dose for toxic neurons: un-alignment of gated families (Lee et al. 2024, table 5)."""

from collections.abc import Sequence

from jobs.intervening.intervention import Edit, Made, Target
from jobs.intervening.shifts import on_neurons

DEFINITION = "the gates of toxic neurons are set to the dose"
MADE: Made = "neurons"
SUBJECT = "aligned"
DOSES = (1.0,)
PLACE = "mlp_gate"


def edits(target: Target, dose: float) -> Sequence[Edit]:
    """Return the edits of one dose."""
    return on_neurons(PLACE, target, lambda gates: dose - gates)
