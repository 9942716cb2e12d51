"""act(dose * (k.x) + b) for toxic neurons: un-alignment (Lee et al. 2024, table 4: 7 keys, x 10).

In a gated MLP the keys are the gate's.
"""

from collections.abc import Sequence

from jobs.intervening.intervention import KEYS, Edit, Made, Subject, Target
from jobs.intervening.shifts import on_neurons

DEFINITION = "the keys of toxic neurons are multiplied by the dose"
MADE: Made = "neurons"
SUBJECT: Subject = "aligned"
DOSES: tuple[float, ...] = (10.0,)
PLACE: str | None = KEYS


def edits(target: Target, dose: float) -> Sequence[Edit]:
    """Return the edits of one dose."""
    return on_neurons(KEYS, target, lambda products: (dose - 1) * products)
