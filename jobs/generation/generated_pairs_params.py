"""Params of kind `generated-pairs`: the push, its place, and how continuations are decoded."""

from typing import Annotated

from pydantic import Field

from jobs.generation.direction import DIRECTIONS
from jobs.params import Names
from jobs.shared_params import OneModelParams
from jobs.text.split import SplitParams


class GeneratedPairsParams(SplitParams, OneModelParams):
    """The push, its place, and how continuations are decoded."""

    direction: Annotated[str, Names(DIRECTIONS)] = Field(
        "difference-of-means",
        description="A file of `directions/`: from the input `lexicon`'s decent to its toxic "
        "texts, towards its toxic words, or along the probe of the input `toxic`.",
    )
    depth: float = Field(0.5, ge=0, le=1, description="Relative depth of the block that is pushed.")
    strength: float = Field(
        0.5,
        gt=0,
        description="Length of the push, in typical lengths of the residual stream there.",
    )
    num_examples: int = Field(256, ge=1, description="Pairs of the lexicon that are read.")
    new_tokens: int = Field(20, ge=1, description="Most tokens of each side.")
    top_k: int = Field(
        10, ge=1, description="Likeliest tokens among which the rejected side is drawn; 1: greedy."
    )
    temperature: float = Field(1.0, gt=0, description="What its logits are divided by.")
    seed: int = Field(0, ge=0, description="Decides the examples, and what is drawn.")
