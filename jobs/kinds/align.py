"""Kind `align`: a model trained towards preferences with TRL, from pairs and reference scores."""

from collections.abc import Mapping, Sequence
from typing import Any

from cluster.resources import Resources
from jobs import lookup
from jobs.kind import Fit, Input, Upstream
from jobs.training.align_params import Params
from jobs.training.objective import trains
from jobs.worker.work import Work

VERSION = 1
INPUTS: Mapping[str, Input] = {
    "model": Input(kinds=frozenset({"pretrained", "pretrain", "align", "adapter"})),
    "pairs": Input(kinds=frozenset({"pairs", "generated-pairs"})),
    "reference": Input(kinds=frozenset({"reference"}), required=False),
}
GATHERS = False
USES_TORCH = True


def uses(params: Params) -> frozenset[str]:
    """The reference only where the objective does; a quantised base is its own."""
    objective = lookup.find("objectives", params.objective)
    if not trains(objective):
        return frozenset({"model"})
    needed = objective.USES_REFERENCE
    quantised = params.lora is not None and params.lora.quantised is not None
    return frozenset(INPUTS) - ({"reference"} if quantised or not needed else set())


def spares(params: Params) -> frozenset[str]:
    """The reference, where an adapter can be switched off instead."""
    return frozenset() if params.lora is None else frozenset({"reference"})


def pins(params: Params, known: Mapping[str, str]) -> Mapping[str, str]:
    """It reads nothing from outside."""
    return {}


def resources(params: Params) -> Resources:
    """As the params say."""
    return params.resources()


def fit(
    params: Params,
    inputs: Mapping[str, Upstream],
    machines: Sequence[Resources],
    tried: Sequence[Mapping[str, Any]],
    done: Sequence[Mapping[str, Any]],
) -> Fit:
    """What of the layout the params leave open, from the model's config and the machines."""
    from jobs.training.planning.fitting import fit_training

    if not trains(lookup.find("objectives", params.objective)):
        return Fit(resources=params.resources(), execution={}, why="nothing is trained")
    return fit_training(params, inputs, machines, tried, done)


def run(work: Work) -> dict[str, Any]:
    """Train, write `model/` and `training_log.jsonl`."""
    if not trains(lookup.find("objectives", work.params.objective)):
        from jobs.training.control import leave_as_is

        return leave_as_is(work)
    from jobs.training.alignment import align
    from jobs.training.memory import out_of_memory_is_ours
    from jobs.training.planning.placement import described

    with out_of_memory_is_ours(f"training by {described(work.params.layout())}"):
        return align(work)
