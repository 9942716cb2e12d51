"""Kind `probe-direction`: W_toxic of a model, and its toxic value vectors with their SVD."""

from collections.abc import Mapping
from typing import Any

from cluster.resources import Resources
from jobs.kind import Input
from jobs.probing.probe_direction_params import Params
from jobs.worker.work import Work

VERSION = 1
INPUTS: Mapping[str, Input] = {
    "model": Input(kinds=frozenset({"pretrained", "pretrain", "align", "adapter"})),
    "pairs": Input(kinds=frozenset({"pairs"})),
}
GATHERS = False
USES_TORCH = True
MEASURES = ("probe_auc", "probe_balanced_accuracy", "probe_accuracy", "probe_majority")


def uses(params: Params) -> frozenset[str]:
    """Both."""
    return frozenset(INPUTS)


def pins(params: Params, known: Mapping[str, str]) -> Mapping[str, str]:
    """It reads nothing from outside."""
    return {}


def resources(params: Params) -> Resources:
    """As the params say."""
    return Resources(num_cpus=params.num_cpus, num_gpus=params.num_gpus, memory_gb=params.memory_gb)


def run(work: Work) -> dict[str, Any]:
    """Write the directions, what they say, and how good the probe is as `measurements.parquet`."""
    from jobs.probing.toxic_directions import find_directions

    return find_directions(work)
