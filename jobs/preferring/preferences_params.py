"""Params of kind `preferences`: which pairs count, what is measured, how the models are run."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from jobs.params import each_once
from jobs.shared_params import ModelParams, require_one_end
from jobs.text.format import MAX_DROPPED

Metric = Literal[
    "preference_accuracy",
    "reward_margin",
    "logp_change",
    "base_margin",
    "kl_per_token",
    "on_policy_chosen",
]
OF_PAIRS = frozenset({"preference_accuracy", "reward_margin", "logp_change"})
"""Metrics that score pairs by both models."""


class Params(ModelParams):
    """Which pairs count, what is measured, and how the models are run."""

    metrics: tuple[Metric, ...] = Field(
        (
            *("preference_accuracy", "reward_margin", "logp_change"),
            *("base_margin", "kl_per_token", "on_policy_chosen"),
        ),
        min_length=1,
        description="preference_accuracy, reward_margin: of the aligned model against its base; "
        "logp_change: of chosen and of rejected; base_margin, on_policy_chosen: of the pairs under "
        "the base; kl_per_token: along the aligned model's own sampled continuations.",
    )
    splits: tuple[Literal["train", "validation", "test"], ...] = Field(
        ("validation", "test"),
        min_length=1,
        description="Parts of the pairs that count. Pairs that one of the models was trained on "
        "never do, nor those that early stopping chose its weights by.",
    )
    max_pairs: int | None = Field(
        None, ge=1, description="Most pairs; a seeded sample of those that count. Null: all."
    )
    new_tokens: int = Field(
        32, ge=1, description="Most tokens of a sampled continuation, and of an answer beside it."
    )
    seed: int = Field(0, ge=0, description="Decides the sample of pairs, and sampled tokens.")
    max_length: int | None = Field(
        None,
        ge=2,
        description="Longest prompt with answer, in tokens; longer ones are cut, as `align` does. "
        "Null: the model's positions.",
    )
    template: Literal["none", "chat"] = Field(
        "none",
        description="`chat`: pairs stand in the chat template of the aligned model, or of the base "
        "where that has none; both models see the same tokens.",
    )
    end_of_text: bool = Field(
        False, description="Whether answers of plain text end with the tokenizer's end of text."
    )
    max_dropped: float = Field(
        MAX_DROPPED,
        ge=0,
        le=1,
        description="Largest share of the pairs that tokenizer and template may refuse; they are "
        "left out and listed.",
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto",
        description="Compute dtype; auto is float32 up to 2 billion parameters, bfloat16 above.",
    )
    attention: Literal["sdpa", "eager"] = Field("sdpa", description="Attention kernel.")

    @field_validator("metrics", "splits", mode="after")
    @classmethod
    def _each_once(cls, names: object) -> object:
        return each_once(names)

    @model_validator(mode="after")
    def _check_end_of_text(self) -> "Params":
        require_one_end(self.template, self.end_of_text)
        return self

    @property
    def scores_pairs(self) -> bool:
        """True when both models score both sides of pairs."""
        return not OF_PAIRS.isdisjoint(self.metrics)
