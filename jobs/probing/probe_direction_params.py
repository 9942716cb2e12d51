"""Params of kind `probe-direction`: the texts of the probe, and the directions that are stored."""

from typing import Literal

from pydantic import Field

from jobs.params import added, data_path, execution
from jobs.shared_params import OneModelParams


class Params(OneModelParams):
    """The texts that the probe is fitted to, and the directions that are stored."""

    learned_from: Literal["pairs", "texts"] = added(
        "pairs",
        "What the probe is fitted to and judged on: rejected against chosen sides of the input "
        "`pairs`, or toxic against neutral texts of the input `texts`.",
    )
    probe: str | None = data_path(
        None,
        "File (.pt, .npy or .safetensors) with a probe that others fitted to this model's last "
        "residual: one vector. It is taken as it is, and only its threshold is fitted.",
        is_added=True,
    )
    normalised: bool = added(
        False, "The SVD is of toxic value vectors at length 1, each; else at their own lengths."
    )
    num_read_out: int = added(
        0,
        "Toxic value vectors, after the probe and three SVD directions, of which the table says "
        "where they lie and how many of the ten tokens that they promote most are toxic words.",
        ge=0,
        le=16,
    )
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
