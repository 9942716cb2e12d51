"""Kind `predictions`: what base and aligned predict next, by layer and by output.

The logit lens of toxic words and of the answer's first token at every layer; and how far apart the
two models' own predictions are at each output: is alignment only a few tokens deep?
"""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from cluster.errors import UserError
from cluster.resources import Resources
from jobs.kind import Input, execution
from jobs.kind import Params as KindParams
from jobs.work import Work

VERSION = 1
INPUTS: Mapping[str, Input] = {
    "base": Input(kinds=frozenset({"pretrained", "pretrain"})),
    "aligned": Input(kinds=frozenset({"align", "adapter", "export", "pretrained", "pretrain"})),
    "prompts": Input(kinds=frozenset({"prompts"})),
    "lexicon": Input(
        kinds=frozenset({"pairs", "generated-pairs"}), required=False, dispensable=True
    ),
}
GATHERS = False
USES_TORCH = True
MEASURES = (
    *("logit_lens_base", "logit_lens_aligned", "logit_lens_drop"),
    *("logit_lens_answer_base", "logit_lens_answer_aligned", "logit_lens_answer_drop"),
    *("token_kl", "token_kl_mean"),
)


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
        description="`chat`: prompts stand in the chat template of the aligned model, or of the "
        "base where that has none; both models see the same tokens.",
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


def uses(params: Params) -> frozenset[str]:
    """The lexicon only where its words matter."""
    needs_lexicon = params.counts_words and params.toxic_words == "lexicon"
    return frozenset(INPUTS) if needs_lexicon else frozenset(INPUTS) - {"lexicon"}


def pins(params: Params, known: Mapping[str, str]) -> Mapping[str, str]:
    """It reads nothing from outside."""
    return {}


def resources(params: Params) -> Resources:
    """As the params say."""
    return Resources(num_cpus=params.num_cpus, num_gpus=params.num_gpus, memory_gb=params.memory_gb)


def run(work: Work) -> dict[str, Any]:
    """Write `measurements.parquet`; the facts count rows by status, prompts and toxic words."""
    from jobs.predicting.predictions import predict

    return predict(work)
