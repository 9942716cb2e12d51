"""Of gated toxic neurons: how much less their gate opens, and how much less comes through it."""

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
    "v1: mean over rows and the layer's toxic neurons of the base model's value minus the aligned "
    "model's, on identical tokens; _gate: of act(gate), at mlp_gate; _linear: of the up "
    "projection, at mlp_linear; delete-group jackknife; band: as many random neurons of the same "
    "layer"
)
NEEDS_AGAINST = False
HEADLINES: Mapping[str, int] = {}
NEEDS_TOXIC = True
REPORTS = ("gate_linear_split_gate", "gate_linear_split_linear")
AXIS_LABEL = "drop of toxic neurons' gate and linear part"

_SITES: Mapping[str, str] = dict(zip(REPORTS, ("mlp_gate", "mlp_linear"), strict=True))
"""Where each half is read."""


def measure(sample: Sample, against: Sample | None) -> list[Measurement]:
    """The two factors of m = act(gate) up (Shazeer 2020, *GLU variants*, section 2), by themselves.

    Their product is signed, so drops of neurons that fire either way cancel in its mean; the gate
    says whether toxic neurons are shut, the linear part whether less goes through. Any real number,
    above 0: less in the aligned model. Unchanged by the order of rows and of neurons; scales with
    what is read. Each half is measured at its own site.
    """
    sums = cache(partial(grouped_sums, sample))
    return [
        evaluate(name, DEFINITION, None, sample, partial(_drop, sample, sums, _SITES[name]))
        for name in REPORTS
    ]


def _drop(sample: Sample, sums: Callable[[], GroupedSums], site: str) -> Measured:
    require_site(sample, site)
    found = sums()
    return mean_of_toxic(sample, found, found.base - found.aligned)
