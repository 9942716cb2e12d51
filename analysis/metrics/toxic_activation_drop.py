"""How much less neurons of toxic value vectors fire in the aligned model, on the same tokens."""

from collections.abc import Callable, Mapping
from functools import cache, partial

from analysis.estimates.evaluation import Measured, evaluate
from analysis.estimates.toxic_neurons import (
    GroupedSums,
    grouped_sums,
    mean_of_toxic,
    require_site,
)
from analysis.measurement import Measurement
from analysis.rows.summary import Sample

DEFINITION = (
    "v2: at mlp_act, mean over rows and the layer's toxic neurons of the base model's activation "
    "minus the aligned model's, on identical tokens; _base: the base model's mean; delete-group "
    "jackknife; band: as many random neurons of the same layer"
)
NEEDS_AGAINST = False
HEADLINES: Mapping[str, int] = {}
NEEDS_TOXIC = True
REPORTS = ("toxic_activation_drop", "toxic_activation_drop_base")
AXIS_LABEL = "drop of toxic neurons' activation"


def measure(sample: Sample, against: Sample | None) -> list[Measurement]:
    """Lee et al. 2024, figure 2, on the base model's tokens for both models.

    Any real number, in units of the activation; above 0: the aligned model fires less. Unchanged by
    the order of rows and of neurons; scales with the activations. In a gated MLP the product of
    gate and linear part has either sign and tends to average out: see `gate_linear_split`.
    """
    sums = cache(partial(grouped_sums, sample))
    return [
        evaluate(name, DEFINITION, None, sample, partial(compute, sample, sums))
        for name, compute in zip(REPORTS, (_drop, _base), strict=True)
    ]


def _drop(sample: Sample, sums: Callable[[], GroupedSums]) -> Measured:
    require_site(sample, "mlp_act")
    found = sums()
    return mean_of_toxic(sample, found, found.base - found.aligned)


def _base(sample: Sample, sums: Callable[[], GroupedSums]) -> Measured:
    require_site(sample, "mlp_act")
    found = sums()
    return mean_of_toxic(sample, found, found.base)
