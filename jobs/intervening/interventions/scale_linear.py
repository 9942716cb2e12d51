"""The linear part of toxic neurons times the dose, in gated families (Lee et al. 2024: x 3)."""

from collections.abc import Sequence

from jobs.intervening.intervention import Edit, Made, Target
from jobs.intervening.shifts import on_neurons

DEFINITION = "the linear part of toxic neurons is multiplied by the dose"
MADE: Made = "neurons"
SUBJECT = "aligned"
DOSES = (3.0,)
PLACE = "mlp_linear"


def edits(target: Target, dose: float) -> Sequence[Edit]:
    """Return the edits of one dose."""
    return on_neurons(PLACE, target, lambda linear: (dose - 1) * linear)
