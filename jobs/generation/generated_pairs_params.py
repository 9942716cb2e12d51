"""Params of kind `generated-pairs`: the push, its place, and how continuations are decoded."""

from typing import Literal

from pydantic import Field

from jobs.kind import execution
from jobs.text.split import SplitParams


class GeneratedPairsParams(SplitParams):
    """The push, its place, and how continuations are decoded."""

    direction: str = Field(
        "difference-of-means",
        description="A file of `directions/`: from the input `lexicon`'s decent to its toxic "
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
