"""Kind `extract`: δx of an aligned model against its base, on identical tokens, as a store."""

from collections.abc import Mapping
from typing import Any

from cluster.resources import Resources
from jobs.extraction.extract_params import VERSION as VERSION
from jobs.extraction.extract_params import Params
from jobs.kind import Input, Upstream
from jobs.worker.work import Work

INPUTS: Mapping[str, Input] = {
    "base": Input(kinds=frozenset({"pretrained", "pretrain"})),
    "aligned": Input(kinds=frozenset({"align", "adapter", "export", "pretrained", "pretrain"})),
    "prompts": Input(kinds=frozenset({"prompts"})),
}
GATHERS = False
USES_TORCH = True


def uses(params: Params) -> frozenset[str]:
    """All of them."""
    return frozenset(INPUTS)


def pins(params: Params, known: Mapping[str, str]) -> Mapping[str, str]:
    """It reads nothing from outside."""
    return {}


def resources(params: Params) -> Resources:
    """As the params say."""
    return Resources(num_cpus=params.num_cpus, num_gpus=params.num_gpus, memory_gb=params.memory_gb)


def workers(params: Params) -> int:
    """As the params say."""
    return params.workers


def expected_bytes(params: Params, inputs: Mapping[str, Upstream]) -> int | None:
    """Most bytes of the store; known once the prompts stand and the model's sizes are known."""
    from jobs.extraction.planned_store_size import bound_planned_store_bytes

    return bound_planned_store_bytes(params, inputs)


def run(work: Work) -> dict[str, Any]:
    """Write the store; its facts are its index."""
    from jobs.extraction.extract import extract

    return extract(work)
