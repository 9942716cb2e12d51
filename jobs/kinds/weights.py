"""Kind `weights`: how the weights moved, and whether value vectors moved against mean δ.

Reads both checkpoints tensor by tensor and mean δ from an extraction; runs no model.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import Field, field_validator

from analysis.lookup import load_weight_metric, weight_metric_names
from cluster.resources import Resources
from jobs import kind
from jobs.kind import Input, execution
from jobs.measuring.metric_names import as_names, resolve_metric_names
from jobs.worker.work import Work

VERSION = 2
INPUTS: Mapping[str, Input] = {
    "base": Input(kinds=frozenset({"pretrained", "pretrain"})),
    "aligned": Input(kinds=frozenset({"align", "adapter", "pretrained", "pretrain"})),
    "delta": Input(kinds=frozenset({"extract"}), required=False, dispensable=True),
}
GATHERS = False
USES_TORCH = False
MEASURES = tuple(weight_metric_names())


class Params(kind.Params):
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
        return resolve_metric_names(given, weight_metric_names(), "metric of weights")


def uses(params: Params) -> frozenset[str]:
    """The extraction only where a chosen metric compares with mean δ."""
    compares = any(load_weight_metric(name).NEEDS_OFFSETS for name in params.metrics)
    return frozenset(INPUTS) if compares else frozenset({"base", "aligned"})


def pins(params: Params, known: Mapping[str, str]) -> Mapping[str, str]:
    """It reads nothing from outside."""
    return {}


def resources(params: Params) -> Resources:
    """As the params say."""
    return Resources(num_cpus=params.num_cpus, memory_gb=params.memory_gb)


def run(work: Work) -> dict[str, Any]:
    """Write measurements.parquet and the full tables; the facts count rows by status."""
    from jobs.weights.weight_measurements import measure

    return measure(work)
