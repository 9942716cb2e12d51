"""Kind `weights`: how the weights moved, and whether value vectors moved against mean δ.

Reads both checkpoints tensor by tensor and mean δ from an extraction; runs no model.
"""

from typing import Any

from pydantic import Field, field_validator

from analysis.weight_metric import WEIGHT_METRICS
from jobs.kind import Input, Kind, Params, execution
from jobs.measuring.metric_names import as_names, resolve_metric_names
from jobs.provenance import Results
from jobs.worker.work import Work


class WeightsParams(Params):
    """What to measure."""

    metrics: tuple[str, ...] = Field(
        ("all",),
        min_length=1,
        validate_default=True,
        description="Metrics of weights by name, or `all`: those that exist when the study is "
        "planned.",
    )
    num_cpus: float = execution(1, "Processor cores.", gt=0)
    memory_gb: float = execution(0, "Host memory to set aside, in 10^9 bytes; 0: none.", ge=0)

    @field_validator("metrics", mode="before", json_schema_input_type=str | tuple[str, ...])
    @classmethod
    def _one_or_many(cls, given: Any) -> Any:
        return as_names(given)

    @field_validator("metrics", mode="after")
    @classmethod
    def _known(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        return resolve_metric_names(given, WEIGHT_METRICS.names(), "metric of weights")


class Weights(Kind[WeightsParams]):
    """Compares the weights of both models."""

    VERSION = 2
    INPUTS = {
        "base": Input(kinds=frozenset({"pretrained", "pretrain"})),
        "aligned": Input(kinds=frozenset({"align", "adapter", "pretrained", "pretrain"})),
        "delta": Input(kinds=frozenset({"extract"}), required=False, dispensable=True),
    }
    Params = WeightsParams
    LEAVES = Results.NUMBERS
    USES_TORCH = False
    MEASURES = tuple(WEIGHT_METRICS.names())

    def uses(self, params: WeightsParams) -> frozenset[str]:
        """Return both models, and the extraction only where a metric compares with mean δ."""
        compares = any(WEIGHT_METRICS.find(name).NEEDS_OFFSETS for name in params.metrics)
        return super().uses(params) - (set() if compares else {"delta"})

    def run(self, work: Work[WeightsParams]) -> dict[str, Any]:
        """Write measurements.parquet and the full tables; the facts count rows by status."""
        from jobs.weights.weight_measurements import measure

        return measure(work)
