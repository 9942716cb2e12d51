"""Params of kind `reference`: how a model scores both completions of every pair."""

from typing import Literal

from pydantic import Field

from jobs.kind import Params as KindParams
from jobs.kind import execution


class Params(KindParams):
    """How to score. Must agree with the `align` jobs that read it, in all but execution."""

    max_length: int | None = Field(
        None,
        ge=2,
        description="Longest prompt with completion, in tokens; longer ones are cut. "
        "Null: the model's positions.",
    )
    template: Literal["none", "chat"] = Field(
        "none",
        description="`chat`: pairs stand in the model's chat template, the prompt as what the user "
        "says.",
    )
    dtype: Literal["float32", "bfloat16"] = Field(
        "float32", description="Computed in; the weights are fp32 either way."
    )
    attention: Literal["sdpa", "eager"] = Field("sdpa", description="Attention kernel.")
    micro_batch: int | None = execution(
        None, "Sequences per forward pass. Null: chosen by what fits, or 16.", ge=1
    )
    num_cpus: float = execution(1, "Processor cores.", gt=0)
    num_gpus: float | None = execution(
        None,
        "GPUs; 0 computes on the processor, several hold one model together. Null: as few of one "
        "node's as hold it; none where there are none.",
        ge=0,
    )
    memory_gb: float = execution(0, "Host memory to set aside, in 10^9 bytes; 0: none.", ge=0)
