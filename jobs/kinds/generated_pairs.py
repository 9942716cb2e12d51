"""Kind `generated-pairs`: pairs that a model writes: what it says, and what it says when pushed.

Chosen is the model's greedy continuation of a prompt, rejected what it draws while its residual
stream is pushed towards toxic text, as Lee et al. 2024 made theirs (section 4.2) with PPLM. Every
base for itself gives on-policy pairs, one fixed model for all of them off-policy ones.
"""

from collections.abc import Mapping
from typing import Any

from cluster.resources import Resources
from jobs.generation.direction import load_direction
from jobs.generation.generated_pairs_params import Params
from jobs.kind import Input
from jobs.worker.work import Work

VERSION = 1
INPUTS: Mapping[str, Input] = {
    "model": Input(kinds=frozenset({"pretrained", "pretrain", "align", "adapter"})),
    "prompts": Input(kinds=frozenset({"prompts"})),
    "lexicon": Input(kinds=frozenset({"pairs"})),
}
GATHERS = False
USES_TORCH = True


def uses(params: Params) -> frozenset[str]:
    """All of them."""
    return frozenset(INPUTS)


def pins(params: Params, known: Mapping[str, str]) -> Mapping[str, str]:
    """It reads nothing from outside. Raises UserError for no such direction."""
    load_direction(params.direction)
    return {}


def resources(params: Params) -> Resources:
    """As the params say."""
    return Resources(num_cpus=params.num_cpus, num_gpus=params.num_gpus, memory_gb=params.memory_gb)


def run(work: Work) -> dict[str, Any]:
    """Write `pairs.parquet`, `report.json` and `toxic.json`."""
    from jobs.generation.generated_pairs import generate_pairs

    return generate_pairs(work)
