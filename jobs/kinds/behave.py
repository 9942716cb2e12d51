"""Kind `behave`: what a model says to prompts: toxic mass, toxic rate, perplexity, decode loss."""

from collections.abc import Mapping
from typing import Any, Literal, get_args

from pydantic import Field

from cluster.resources import Resources
from jobs.behaviour import asked
from jobs.kind import Input
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

Metric = Literal[
    "toxic_mass",
    "toxic_rate",
    "toxic_score",
    "perplexity",
    "token_f1",
    "word_f1",
    "decode_loss",
]
MEASURES = (
    *get_args(Metric),
    *("token_f1_legacy", "decode_loss_shuffled", "decode_loss_gap"),
)


class Params(asked.SubjectParams):
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


def uses(params: Params) -> frozenset[str]:
    """The lexicon only where its words matter."""
    return params.words_input | {"model", "prompts"}


pins = asked.pins
known_name = asked.known_name
resolve = asked.resolve


def resources(params: Params) -> Resources:
    """As the params say."""
    return Resources(num_cpus=params.num_cpus, num_gpus=params.num_gpus, memory_gb=params.memory_gb)


def run(work: Work) -> dict[str, Any]:
    """Write `measurements.parquet` and `continuations.parquet` (token ids, no text)."""
    from jobs.behaviour.rates import behave

    return behave(work)
