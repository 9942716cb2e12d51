"""Params of kind `behave`: what is measured of a model's behaviour, and how the model runs."""

from typing import Literal

from pydantic import Field

from jobs.behaviour.scored_params import LocalModelParams

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
