"""Kind `reference`: what the base gives every pair, once for all objectives, betas and seeds."""

from collections.abc import Mapping, Sequence
from typing import Any

from cluster.resources import Resources
from jobs.kind import Fit, Input, Upstream
from jobs.training.reference_params import Params
from jobs.worker.work import Work

VERSION = 2
INPUTS: Mapping[str, Input] = {
    "model": Input(kinds=frozenset({"pretrained", "pretrain", "align", "adapter"})),
    "pairs": Input(kinds=frozenset({"pairs", "generated-pairs"})),
}
GATHERS = False
USES_TORCH = True


def uses(params: Params) -> frozenset[str]:
    """Both."""
    return frozenset(INPUTS)


def pins(params: Params, known: Mapping[str, str]) -> Mapping[str, str]:
    """It reads nothing from outside."""
    return {}


def resources(params: Params) -> Resources:
    """As the params say."""
    return Resources(
        num_cpus=params.num_cpus, num_gpus=params.num_gpus or 0, memory_gb=params.memory_gb
    )


def fit(
    params: Params,
    inputs: Mapping[str, Upstream],
    machines: Sequence[Resources],
    tried: Sequence[Mapping[str, Any]],
    done: Sequence[Mapping[str, Any]],
) -> Fit:
    """GPUs and rows at a time, from the model's config and the machines."""
    from jobs.training.planning.scoring import fit_scoring

    return fit_scoring(params, inputs, machines, tried)


def run(work: Work) -> dict[str, Any]:
    """Write `reference.parquet`: sums of log-probability over the tokens of both completions."""
    from jobs.training.memory import out_of_memory_is_ours
    from jobs.training.reference_scores import score_reference

    with out_of_memory_is_ours("scoring pairs"):
        return score_reference(work)
