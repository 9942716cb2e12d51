"""Params of kind `pretrain`: which architecture, on what documents, for how long."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from cluster.errors import UserError
from jobs.models.family import FAMILIES, family_of_config
from jobs.params import Names, data_path
from jobs.text.format import FORMATS, checked_options
from jobs.text.source_check import max_dropped
from jobs.training.params import TrainingParams


class Params(TrainingParams):
    """Which architecture, on what, and how long."""

    config: Annotated[dict[str, Any], Names(FAMILIES, under="family")] = Field(
        ...,
        description="The architecture: family, num_layers, d_model, num_heads, ...; "
        "vocab_size is the tokenizer's when left out.",
    )
    format: Annotated[str, Names(FORMATS)] = Field(
        ..., description="Format of the documents: a file of `jobs/text/formats/`."
    )
    source: str | None = data_path(None, "File or folder of the documents, where it has one.")
    options: dict[str, Any] = Field({}, description="Options of the format.")
    vocab_size: int | None = Field(
        None, ge=2, description="Tokens of the tokenizer; the format's own number when null."
    )
    steps: int = Field(..., ge=1, description="Optimizer steps.")
    sequence_length: int = Field(64, ge=2, description="Tokens of a row.")
    optimizer: Literal["rmsprop", "adamw"] = Field("adamw", description="Optimizer.")
    learning_rate: float = Field(3e-3, gt=0, description="Rate at the top of the schedule.")
    schedule: Literal["constant", "linear", "cosine"] = Field(
        "cosine", description="After the warm-up: constant, or down to 0 at the last step."
    )
    warmup_steps: int = Field(10, ge=0, description="Steps over which the rate rises.")
    weight_decay: float = Field(0.1, ge=0, description="Decay of matrices; biases have none.")
    max_grad_norm: float = Field(1.0, gt=0, description="Longer gradients are scaled to this.")
    adam_beta2: float = Field(0.95, ge=0, lt=1, description="Decay of adamw's second moment.")
    global_batch: int = Field(48, ge=1, le=10**9, description="Rows per optimizer step.")

    max_dropped: float = max_dropped()

    @model_validator(mode="after")
    def _check(self) -> "Params":
        options = FORMATS.find(self.format, where="format").Options
        checked_options(self.format, options, self.options)
        family = family_of_config(self.config, where="config")
        whole = {"vocab_size": 1, **self.config}  # the tokenizer's, where it is left out
        family.num_parameters(whole)
        if self.sequence_length > (limit := family.shape(whole).max_positions):
            raise UserError(
                f"sequence_length {self.sequence_length} is more than max_positions {limit}",
                where="config",
            )
        return self
