"""Params of kind `predictions`: what is compared, where it is read, how the models are run."""

from typing import Literal

from pydantic import Field, field_validator

from jobs.behaviour.scored_params import WordsParams
from jobs.measuring.over_answer import OverAnswerParams
from jobs.params import added, each_once
from jobs.shared_params import PairParams


class Params(OverAnswerParams, WordsParams, PairParams):
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
    num_positions: int = Field(
        16,
        ge=1,
        description="Outputs of a prompt at which the models are compared: tokens of its answer, "
        "or where it has none the aligned model's likeliest ones.",
    )
    attention: Literal["sdpa", "eager"] = Field("sdpa", description="Attention kernel.")
    token_ids: tuple[int, ...] | None = added(
        None, "Tokens whose probability the lens shows in place of toxic words, by their ids."
    )

    @field_validator("sites", "layers", "token_ids", mode="after")
    @classmethod
    def _places_once(cls, values: object) -> object:
        return each_once(values)

    @property
    def word_metrics(self) -> tuple[str, ...]:
        """The metrics that need to know which words are toxic."""
        is_of_words = "logit_lens" in self.metrics and self.token_ids is None
        return ("logit_lens",) if is_of_words else ()
