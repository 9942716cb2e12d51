"""Kind `ask`: what a model says whose weights nobody has, behind an OpenAI-compatible endpoint.

Behaviour only, measured as `behave` measures it. What needs weights is missing, `no_weights`.
"""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from cluster.resources import Resources
from jobs.asking.key import Address, VariableName
from jobs.kind import Input, execution
from jobs.kind import Params as KindParams
from jobs.scorer import ScorerChoice, chosen_scorer
from jobs.work import Work

VERSION = 1
INPUTS: Mapping[str, Input] = {
    "prompts": Input(kinds=frozenset({"prompts"})),
    "lexicon": Input(
        kinds=frozenset({"pairs", "generated-pairs"}), required=False, dispensable=True
    ),
}
GATHERS = False
USES_TORCH = False  # a scorer that does sets its own threads
MEASURES = ("toxic_rate", "toxic_score", "word_f1")

_JUDGED = frozenset({"toxic_rate", "toxic_score"})
"""Metrics that the scorer decides."""


class Params(KindParams):
    """Which model is asked what, and how hard the service may be pressed."""

    base_url: Address = Field(description="Where the service answers, such as http://host:8000/v1.")
    model: str = Field(min_length=1, description="The model's name there.")
    api_key_variable: VariableName | None = execution(
        None, "Environment variable that holds the key where jobs run; null: none is needed."
    )
    metrics: tuple[Literal["toxic_rate", "toxic_score", "word_f1"], ...] = Field(
        ("toxic_rate",),
        min_length=1,
        description="toxic_rate: answers that the scorer calls toxic; toxic_score: the mean of its "
        "scores; word_f1: words shared with the prompts' own answers.",
    )
    toxic_words: Literal["lexicon", "prompts"] = Field(
        "lexicon",
        description="Whose words are toxic: those of the input `lexicon`, known or learned from "
        "pairs; or those that the source of the prompts knows.",
    )
    scorer: ScorerChoice = "lexicon"
    new_tokens: int = Field(20, ge=1, description="Most tokens of an answer.")
    temperature: float | None = Field(
        0, ge=0, description="0 is greedy; null leaves it to the service, where it takes none."
    )
    tokens_field: Literal["max_tokens", "max_completion_tokens"] = execution(
        "max_tokens", "How this service calls the most tokens of an answer."
    )
    requests_per_minute: float = execution(60, "Most requests sent in a minute.", gt=0)
    at_once: int = execution(4, "Most requests under way.", ge=1, le=256)
    timeout_s: float = execution(60, "Longest wait for one whole answer.", gt=0)
    max_retries: int = execution(5, "How often one prompt is asked again.", ge=0, le=20)
    first_wait_s: float = execution(
        1, "Wait before the first retry, then twice that, where the service asks for none.", ge=0
    )
    max_missing: float = execution(
        0.05, "Largest share of prompts without an answer; with more the job fails.", ge=0, le=1
    )
    num_cpus: float = execution(1, "Processor cores.", gt=0)
    num_gpus: float = execution(0, "GPUs, for a scorer that computes.", ge=0, le=1)
    memory_gb: float = execution(0, "Host memory to set aside, in 10^9 bytes; 0: none.", ge=0)

    @property
    def counts_words(self) -> bool:
        """True when a metric needs to know which words are toxic."""
        return chosen_scorer(self.scorer).uses_words and not _JUDGED.isdisjoint(self.metrics)


def uses(params: Params) -> frozenset[str]:
    """The lexicon only where its words matter."""
    needs_lexicon = params.counts_words and params.toxic_words == "lexicon"
    return frozenset({"prompts"} | ({"lexicon"} if needs_lexicon else set()))


def pins(params: Params, known: Mapping[str, str]) -> Mapping[str, str]:
    """Of the model that the scorer reads; a model behind an endpoint cannot be pinned."""
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
    """Write `measurements.parquet`; no text, of prompts or answers, is kept."""
    from jobs.asking.behaviour import ask

    return ask(work)
