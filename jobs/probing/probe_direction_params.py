"""Params of kind `probe-direction`: the texts of the probe, and the directions that are stored."""

from typing import Literal

from pydantic import Field

from jobs.kind import execution
from jobs.shared_params import OneModelParams


class Params(OneModelParams):
    """The texts that the probe is fitted to, and the directions that are stored."""

    averaged: Literal["completion", "text"] = Field(
        "completion",
        description="Residuals are averaged over the tokens of the completion, which follow their "
        "prompt, or over prompt and completion. The first token and pads never count.",
    )
    held_out: float = Field(
        0.2, gt=0, lt=1, description="Share of prompts that the probe is judged on, not fitted to."
    )
    max_texts: int | None = Field(
        None, ge=4, description="Most texts: those of the prompts with the smallest seeded hashes."
    )
    inverse_penalty: float = Field(
        1.0, gt=0, description="C of the logistic regression; smaller: a stronger L2 penalty."
    )
    num_vectors: int = Field(
        128, ge=1, description="Toxic value vectors: those with the largest cosine with the probe."
    )
    num_svd: int = Field(10, ge=1, description="SVD directions of those that are kept.")
    seed: int = Field(0, description="Decides the sample and what is held out.")
    max_length: int | None = Field(
        None,
        ge=2,
        description="Tokens; longer texts are left out and counted. The model's limit if null.",
    )
    num_gpus: float = execution(0, "GPUs; 0 computes on the processor.", ge=0, le=1)
