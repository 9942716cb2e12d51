"""Kind `measure`: metrics of δ at every site, layer and position that an extraction kept."""

from typing import Any

from pydantic import Field, field_validator

from analysis.metric import METRICS
from jobs.kind import Input, Kind, Params, execution
from jobs.measuring.metric_names import as_names, resolve_metric_names
from jobs.provenance import Results
from jobs.worker.work import Work


class MeasureParams(Params):
    """What to measure."""

    metrics: tuple[str, ...] = Field(
        ("all",),
        min_length=1,
        validate_default=True,
        description="Metrics by name, or `all`: those that exist when the study is planned.",
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
        return resolve_metric_names(given, METRICS.names(), "metric")


class Measure(Kind[MeasureParams]):
    """Applies metrics to what an extraction kept."""

    VERSION = 3
    INPUTS = {
        "delta": Input(kinds=frozenset({"extract"})),
        "against": Input(kinds=frozenset({"extract"}), required=False, dispensable=True),
        "toxic": Input(kinds=frozenset({"probe-direction"}), required=False, dispensable=True),
    }
    Params = MeasureParams
    LEAVES = Results.NUMBERS
    USES_TORCH = False
    MEASURES = tuple(METRICS.names())

    def uses(self, params: MeasureParams) -> frozenset[str]:
        """Return `delta`, and of the others only what a chosen metric needs."""
        metrics = [METRICS.find(name) for name in params.metrics]
        against = any(metric.NEEDS_AGAINST for metric in metrics)
        toxic = any(metric.NEEDS_TOXIC for metric in metrics)
        wanted = {"delta": True, "against": against, "toxic": toxic}
        return frozenset(name for name, used in wanted.items() if used)

    def run(self, work: Work[MeasureParams]) -> dict[str, Any]:
        """Write measurements.parquet; the facts count its rows by status."""
        from jobs.measuring.store_measurements import measure

        return measure(work)
