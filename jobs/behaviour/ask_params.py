"""Params of kind `ask`: the endpoint, what is measured, and how fast requests may follow."""

from typing import ClassVar, Literal

from pydantic import Field

from jobs.behaviour.scored_params import ScoredParams
from jobs.params import execution
from jobs.service.credentials import Address, VariableName

Metric = Literal["toxic_rate", "toxic_score", "word_f1"]


class AskParams(ScoredParams):
    """The endpoint, what is measured, and how fast requests may follow each other."""

    SENDS: ClassVar[str] = "prompts (as chat messages)"
    """What leaves for the address."""

    base_url: Address = Field(description="Where the service answers, such as http://host:8000/v1.")
    model: str = Field(min_length=1, description="The model's name there.")
    api_key_variable: VariableName | None = execution(
        None, "Environment variable that holds the key where jobs run; null: none is needed."
    )
    metrics: tuple[Metric, ...] = Field(
        ("toxic_rate",),
        min_length=1,
        description="toxic_rate: answers that the scorer calls toxic; toxic_score: the mean of its "
        "scores; word_f1: words shared with the prompts' own answers.",
    )
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
    num_gpus: float = execution(0, "GPUs, for a scorer that computes.", ge=0, le=1)
