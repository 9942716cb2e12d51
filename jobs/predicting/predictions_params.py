"""Params of kind `predictions`: what is compared, where it is read, how the models are run."""

from typing import Literal

from pydantic import Field, model_validator

from cluster.errors import UserError
from jobs.kind import Params as KindParams
from jobs.kind import execution


class Params(KindParams):
    """What is compared, where it is read, and how the models are run."""

    metrics: tuple[Literal["logit_lens", "token_kl"], ...] = Field(
        ("logit_lens", "token_kl"),
        min_length=1,
        description="logit_lens: probability, by layer, of toxic words and of the answer's first "
        "token; token_kl: KL(aligned||base) of the next token at each output.",
    )
    sites: tuple[Literal["resid_pre", "resid_mid", "resid_post"], ...] = Field(
        ("resid_mid", "resid_post"),
        min_length=1,
        description="Where the lens reads a block. A site that a family lacks is reported as such.",
    )
    layers: Literal["all"] | tuple[int, ...] = Field(
        "all", description="Layers that the lens reads, from 0."
    )
    toxic_words: Literal["lexicon", "prompts"] = Field(
        "lexicon",
        description="Whose words are toxic: those of the input `lexicon`, known or learned from "
        "pairs; or those that the source of the prompts knows.",
    )
    num_positions: int = Field(
        16,
        ge=1,
        description="Outputs of a prompt at which the models are compared: tokens of its answer, "
        "or where it has none the aligned model's likeliest ones.",
    )
    template: Literal["none", "chat"] = Field(
        "none",
        description="`chat`: prompts are put into the chat template of the aligned model, or of "
        "the base where that has none; both models see the same tokens.",
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto",
        description="Compute dtype; auto is float32 up to 2 billion parameters, bfloat16 above.",
    )
    attention: Literal["sdpa", "eager"] = Field("sdpa", description="Attention kernel.")
    max_length: int | None = Field(
        None,
        ge=1,
        description="Longer prompts (in tokens, answer included) are left out and counted; "
        "the model's limit less num_positions if null.",
    )
    token_budget: int = execution(8192, "Most tokens forwarded together, padding included.", ge=1)
    num_cpus: float = execution(1, "Processor cores.", gt=0)
    num_gpus: float = execution(
        0, "GPUs; 0 computes on the processor, several hold one model together.", ge=0
    )
    memory_gb: float = execution(0, "Host memory to set aside, in 10^9 bytes; 0: none.", ge=0)

    @property
    def counts_words(self) -> bool:
        """True when a metric needs to know which words are toxic."""
        return "logit_lens" in self.metrics

    @model_validator(mode="after")
    def _check(self) -> "Params":
        if isinstance(self.layers, tuple) and (not self.layers or min(self.layers) < 0):
            raise UserError("layers are numbers from 0, at least one", where="layers")
        return self
