"""Of gated toxic neurons: how much less their gate opens, and how much less comes through it."""

from __future__ import annotations

from functools import partial

from analysis.estimates.toxic_neurons import measure_drop
from analysis.metric import Computation, Metric
from analysis.rows.summary import Sample


class GateLinearSplit(Metric):
    """The two factors of m = act(gate) up (Shazeer 2020, *GLU variants*, section 2), by themselves.

    Their product is signed, so drops of neurons that fire either way cancel in its mean; the gate
    says whether toxic neurons are shut, the linear part whether less goes through. Any real number,
    above 0: less in the aligned model. Unchanged by the order of rows and of neurons; scales with
    what is read. Each half is measured at its own site.
    """

    DEFINITION = (
        "v1: mean over rows and the layer's toxic neurons of the base model's value minus the "
        "aligned model's, on identical tokens; _gate: of act(gate), at mlp_gate; _linear: of the "
        "up projection, at mlp_linear; delete-group jackknife; band: as many random neurons of "
        "the same layer"
    )
    REPORTS = ("gate_linear_split_gate", "gate_linear_split_linear")
    AXIS_LABEL = "drop of toxic neurons' gate and linear part"
    NEEDS_TOXIC = True

    def prepare(self, sample: Sample, against: Sample | None, centred: bool) -> list[Computation]:
        """Return what computes each value."""
        return [partial(measure_drop, sample, site) for site in ("mlp_gate", "mlp_linear")]
