"""How much less neurons of toxic value vectors fire in the aligned model, on the same tokens."""

from __future__ import annotations

from functools import partial

from analysis.estimates.toxic_neurons import measure_drop, measure_level
from analysis.metric import Computation, Metric
from analysis.rows.summary import Sample


class ToxicActivationDrop(Metric):
    """Lee et al. 2024, figure 2, on the base model's tokens for both models.

    Any real number, in units of the activation; above 0: the aligned model fires less. Unchanged by
    the order of rows and of neurons; scales with the activations. In a gated MLP the product of
    gate and linear part has either sign and tends to average out: see `gate_linear_split`.
    """

    DEFINITION = (
        "v2: at mlp_act, mean over rows and the layer's toxic neurons of the base model's "
        "activation minus the aligned model's, on identical tokens; _base: the base model's mean;"
        " delete-group jackknife; band: as many random neurons of the same layer"
    )
    REPORTS = ("toxic_activation_drop", "toxic_activation_drop_base")
    AXIS_LABEL = "drop of toxic neurons' activation"
    NEEDS_TOXIC = True

    def prepare(self, sample: Sample, against: Sample | None, centred: bool) -> list[Computation]:
        """Return what computes each value."""
        return [partial(measure_drop, sample, "mlp_act"), partial(measure_level, sample, "mlp_act")]
