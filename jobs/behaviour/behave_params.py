"""Params of kind `behave`: what is measured of a model's behaviour, and how the model runs."""

from typing import Literal

from pydantic import Field, model_validator

from cluster.errors import UserError
from jobs.behaviour.scored_params import LocalModelParams
from jobs.behaviour.served_params import Served
from jobs.params import added

Metric = Literal[
    "toxic_mass",
    "toxic_rate",
    "toxic_score",
    "perplexity",
    "window_perplexity",
    "token_f1",
    "word_f1",
    "decode_loss",
]

OF_CONTINUATIONS = frozenset({"toxic_rate", "toxic_score", "token_f1", "word_f1"})
"""Metrics that are read off continuations."""


class BehaveParams(LocalModelParams):
    """What is measured, and how the model is run."""

    metrics: tuple[Metric, ...] = Field(
        ("toxic_mass", "toxic_rate", "perplexity"),
        min_length=1,
        description="toxic_mass: probability of toxic words as the next token; toxic_rate: greedy "
        "continuations that the scorer calls toxic; toxic_score: the mean of its scores; "
        "perplexity: of the answers; window_perplexity: of whole texts, in windows of max_length "
        "(1,024) tokens; token_f1, word_f1: what continuation and answer share; "
        "decode_loss: the decode control, loss per token on what is asked beside that on its words "
        "out of order.",
    )
    served: Served | None = added(
        None,
        "A server of your own that continues the prompts, such as vLLM: `base_url`, `model` and "
        "how it is asked. Null: the model is loaded here. Other metrics are computed here always.",
    )

    @model_validator(mode="after")
    def _check_served(self) -> "BehaveParams":
        if self.served is not None and OF_CONTINUATIONS.isdisjoint(self.metrics):
            raise UserError(
                "no metric of this stage is read off continuations, so there is nothing to serve",
                where="served",
                allowed=OF_CONTINUATIONS,
                hint="name one of these in `metrics`, or leave `served` out",
            )
        return self
