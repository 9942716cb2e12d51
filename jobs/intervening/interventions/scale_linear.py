"""The linear part of toxic neurons times the dose, in gated families (Lee et al. 2024: x 3)."""

from collections.abc import Sequence

from jobs.intervening.intervention import Edit, Made, Subject, Target
from jobs.intervening.shifts import on_neurons

DEFINITION = "the linear part of toxic neurons is multiplied by the dose"
MADE: Made = "neurons"
SUBJECT: Subject = "aligned"
DOSES: tuple[float, ...] = (3.0,)
_SITE = "mlp_linear"
PLACE: str | None = _SITE


def edits(target: Target, dose: float) -> Sequence[Edit]:
    """Return the edits of one dose."""
    return on_neurons(_SITE, target, lambda linear: (dose - 1) * linear)
