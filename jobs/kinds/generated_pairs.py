"""Kind `generated-pairs`: pairs that a model writes: what it says, and what it says when pushed.

Chosen is the model's greedy continuation of a prompt, rejected what it draws while its residual
stream is pushed towards toxic text, as Lee et al. 2024 made theirs (section 4.2) with PPLM. Every
base for itself gives on-policy pairs, one fixed model for all of them off-policy ones.
"""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from cluster.resources import Resources
from jobs.data.split import SplitParams
from jobs.direction import load_direction
from jobs.kind import Input, execution
from jobs.work import Work

VERSION = 1
INPUTS: Mapping[str, Input] = {
    "model": Input(kinds=frozenset({"pretrained", "pretrain", "align", "adapter"})),
    "prompts": Input(kinds=frozenset({"prompts"})),
    "lexicon": Input(kinds=frozenset({"pairs"})),
}
GATHERS = False
USES_TORCH = True


class Params(SplitParams):
    """How far the model is pushed, where, and how it goes on."""

    direction: str = Field(
        "difference-of-means",
        description="A file of `jobs/directions/`: from the input `lexicon`'s decent to its toxic "
        "texts, or towards its toxic words.",
    )
    depth: float = Field(0.5, ge=0, le=1, description="Relative depth of the block that is pushed.")
    strength: float = Field(
        0.5,
        gt=0,
        description="Length of the push, in typical lengths of the residual stream there.",
    )
    num_examples: int = Field(256, ge=1, description="Pairs of the lexicon that are read.")
    new_tokens: int = Field(20, ge=1, description="Most tokens of each side.")
    top_k: int = Field(
        10, ge=1, description="Likeliest tokens among which the rejected side is drawn; 1: greedy."
    )
    temperature: float = Field(1.0, gt=0, description="What its logits are divided by.")
    max_length: int | None = Field(
        None,
        ge=1,
        description="Longer prompts (in tokens) are left out and counted; the model's limit less "
        "new_tokens if null.",
    )
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="Compute dtype; auto is float32 up to 2 billion parameters, bfloat16 above.",
    )
    attention: Literal["sdpa", "eager"] = Field("sdpa", description="Attention kernel.")
    seed: int = Field(0, ge=0, description="Decides the examples, and what is drawn.")
    token_budget: int = execution(8192, "Most tokens forwarded together, padding included.", ge=1)
    num_cpus: float = execution(1, "Processor cores.", gt=0)
    num_gpus: float = execution(
        0, "GPUs; 0 computes on the processor, several hold one model together.", ge=0
    )
    memory_gb: float = execution(0, "Host memory to set aside, in 10^9 bytes; 0: none.", ge=0)


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
