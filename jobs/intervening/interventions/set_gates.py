"""act(gate) = dose for toxic neurons: un-alignment of gated families (Lee et al. 2024, table 5)."""

from collections.abc import Sequence

from jobs.intervening.intervention import Edit, Made, Subject, Target
from jobs.intervening.shifts import on_neurons

DEFINITION = "the gates of toxic neurons are set to the dose"
MADE: Made = "neurons"
SUBJECT: Subject = "aligned"
DOSES: tuple[float, ...] = (1.0,)
_SITE = "mlp_gate"
PLACE: str | None = _SITE


def edits(target: Target, dose: float) -> Sequence[Edit]:
    """Return the edits of one dose."""
    return on_neurons(_SITE, target, lambda gates: dose - gates)
