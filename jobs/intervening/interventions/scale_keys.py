"""act(dose * (k.x) + b) for toxic neurons: un-alignment (Lee et al. 2024, table 4: 7 keys, x 10).

In a gated MLP the keys are the gate's.
"""

from jobs.intervening.intervention import KEYS, OnNeurons


class ScaleKeys(OnNeurons):
    """The keys of toxic neurons, multiplied."""

    DEFINITION = "the keys of toxic neurons are multiplied by the dose"
    DOSES = (10.0,)
    PLACE = KEYS
