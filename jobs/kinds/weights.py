"""Kind `weights`: how the weights moved, and whether value vectors moved against mean δ.

Reads both checkpoints tensor by tensor and mean δ from an extraction; runs no model.
"""

from collections.abc import Iterable, Mapping, Sequence

from analysis.weight_metric import WEIGHT_METRICS
from jobs.kind import Input, Upstream
from jobs.kinds._shared_inputs import WEIGHTS
from jobs.measuring.metric_names import MetricNameParams
from jobs.measuring.metrics_kind import MetricsKind
from jobs.provenance import Results
from jobs.worker.work import Work


class WeightsParams(MetricNameParams):
    """What to measure."""

    METRICS = WEIGHT_METRICS


class Weights(MetricsKind[WeightsParams]):
    """Compares the weights of both models."""

    VERSION = 3
    INPUTS = {
        "base": WEIGHTS,
        "aligned": WEIGHTS,
        "delta": Input(kinds=frozenset({"extract"}), dispensable=True),
    }
    Params = WeightsParams
    LEAVES = Results.NUMBERS
    USES_TORCH = False

    def uses(self, params: WeightsParams) -> frozenset[str]:
        """Return both models, and the extraction only where a metric compares with mean δ."""
        compares = _that_compare(params.metrics)
        return super().uses(params) - (set() if compares else {"delta"})

    def notes(self, params: WeightsParams, inputs: Mapping[str, Upstream]) -> Sequence[str]:
        """Say which metrics that the study names lack mean δ; raises for models of two shapes."""
        from jobs.tokens.planned_tokens import require_planned_pair

        require_planned_pair(inputs.get("base"), inputs.get("aligned"))
        lacking = _that_compare(params.named) if "delta" not in inputs else []
        what = "compared with mean δ, for which the stage gives no input 'delta': no number"
        return [f"of {', '.join(lacking)} what is {what}"] if lacking else []

    def run(self, work: Work[WeightsParams]) -> dict[str, object]:
        """Write measurements.parquet and the full tables; the facts count rows by status."""
        from jobs.weights.weight_measurements import measure

        return measure(work)


def _that_compare(metrics: Iterable[str]) -> list[str]:
    """Return those of the metrics that compare with mean δ."""
    return sorted(name for name in metrics if WEIGHT_METRICS.find(name).NEEDS_OFFSETS)
