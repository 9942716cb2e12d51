"""Kind `behave`: what a model says to prompts: toxic mass, toxic rate, perplexity, decode loss."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from cluster.resources import Resources
from jobs.behaviour.asked import counts_words
from jobs.kind import Input, execution
from jobs.kind import Params as KindParams
from jobs.scorer import ScorerChoice, chosen_scorer
from jobs.work import Work

VERSION = 1
_MODELS = frozenset({"pretrained", "pretrain", "align", "adapter", "export"})
INPUTS: Mapping[str, Input] = {
    "model": Input(kinds=_MODELS),
    "prompts": Input(kinds=frozenset({"prompts"})),
    "lexicon": Input(
        kinds=frozenset({"pairs", "generated-pairs"}), required=False, dispensable=True
    ),
}
GATHERS = False
USES_TORCH = True
MEASURES = (
    *("toxic_mass", "toxic_rate", "toxic_score", "perplexity", "token_f1", "token_f1_legacy"),
    "word_f1",
    *("decode_loss", "decode_loss_shuffled", "decode_loss_gap"),
)

Metric = Literal[
    "toxic_mass",
    "toxic_rate",
    "toxic_score",
    "perplexity",
    "token_f1",
    "word_f1",
    "decode_loss",
]


class Params(KindParams):
    """What is measured, and how the model is run."""

    metrics: tuple[Metric, ...] = Field(
        ("toxic_mass", "toxic_rate", "perplexity"),
        min_length=1,
        description="toxic_mass: probability of toxic words as the next token; toxic_rate: greedy "
        "continuations that the scorer calls toxic; toxic_score: the mean of its scores; "
        "perplexity: of the answers; token_f1, word_f1: what continuation and answer share; "
        "decode_loss: the decode control, loss per token on what is asked beside that on its words "
        "out of order.",
    )
    toxic_words: Literal["lexicon", "prompts"] = Field(
        "lexicon",
        description="Whose words are toxic: those of the input `lexicon`, known or learned from "
        "pairs; or those that the source of the prompts knows.",
    )
    scorer: ScorerChoice = "lexicon"
    new_tokens: int = Field(20, ge=1, description="Most tokens of a greedy continuation.")
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="Compute dtype; auto is float32 up to 2 billion parameters, bfloat16 above.",
    )
    attention: Literal["sdpa", "eager"] = Field("sdpa", description="Attention kernel.")
    max_length: int | None = Field(
        None,
        ge=1,
        description="Longer prompts (in tokens, answer included) are left out and counted; "
        "the model's limit less new_tokens if null.",
    )
    token_budget: int = execution(8192, "Most tokens forwarded together, padding included.", ge=1)
    num_cpus: float = execution(1, "Processor cores.", gt=0)
    num_gpus: float = execution(0, "GPUs; 0 computes on the processor.", ge=0, le=1)
    memory_gb: float = execution(0, "Host memory to set aside, in 10^9 bytes; 0: none.", ge=0)

    @property
    def counts_words(self) -> bool:
        """True when a metric needs to know which words are toxic."""
        return counts_words(self.metrics, self.scorer)


def uses(params: Params) -> frozenset[str]:
    """The lexicon only where its words matter."""
    needs_lexicon = params.counts_words and params.toxic_words == "lexicon"
    return frozenset({"model", "prompts"} | ({"lexicon"} if needs_lexicon else set()))


def pins(params: Params, known: Mapping[str, str]) -> Mapping[str, str]:
    """Of the model that the scorer reads. Raises UserError when there is none."""
    return chosen_scorer(params.scorer).pins(known)


def known_name(params: Params) -> str:
    """Under what name a launch remembers the scorer's model; empty where it reads none."""
    return chosen_scorer(params.scorer).known_name


def resolve(params: Params) -> tuple[str, str] | None:
    """(known_name, commit) of the scorer's model on the hub; None where nothing is to resolve."""
    return chosen_scorer(params.scorer).resolve()


def resources(params: Params) -> Resources:
    """As the params say."""
    return Resources(num_cpus=params.num_cpus, num_gpus=params.num_gpus, memory_gb=params.memory_gb)


def run(work: Work) -> dict[str, Any]:
    """Write `measurements.parquet` and `continuations.parquet` (token ids, no text)."""
    from jobs.behaviour.rates import behave

    return behave(work)
