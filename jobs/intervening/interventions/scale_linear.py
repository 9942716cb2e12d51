"""The linear part of toxic neurons times the dose, in gated families (Lee et al. 2024: x 3)."""

from jobs.intervening.intervention import OnNeurons


class ScaleLinear(OnNeurons):
    """The linear part of toxic neurons, multiplied."""

    DEFINITION = "the linear part of toxic neurons is multiplied by the dose"
    DOSES = (3.0,)
    PLACE = "mlp_linear"
