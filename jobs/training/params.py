"""Params that every training kind has: the recipe's settings and how the work is done."""

import math
from typing import Literal

from pydantic import Field, model_validator

from cluster.errors import UserError
from jobs.kind import execution
from jobs.shared_params import ComputeParams
from jobs.training.layout import Layout
from jobs.training.recipe import Recipe
from jobs.training.supervision import Supervision
from jobs.worker.work import Work


class PrecisionParams(ComputeParams):
    """In which precision, and by which kernel, pairs and rows are computed."""

    dtype: Literal["float32", "bfloat16"] = Field(
        "float32", description="Computed in; the weights are fp32 either way."
    )
    attention: Literal["sdpa", "eager"] = Field("sdpa", description="Attention kernel.")


class TrainingParams(PrecisionParams):
    """Settings shared by `pretrain` and `align`; each has its own defaults for some."""

    seed: int = Field(
        0, ge=0, description="Decides the order of the data, and all other random draws."
    )
    optimizer: Literal["rmsprop", "adamw"] = Field("rmsprop", description="Optimizer.")
    learning_rate: float = Field(1e-6, gt=0, description="Rate at the top of the schedule.")
    schedule: Literal["constant", "linear", "cosine"] = Field(
        "constant", description="After the warm-up: constant, or down to 0 at the last step."
    )
    warmup_steps: int = Field(0, ge=0, description="Steps over which the rate rises.")
    weight_decay: float = Field(0.0, ge=0, description="Decay of matrices; biases have none.")
    max_grad_norm: float = Field(10.0, gt=0, description="Longer gradients are scaled to this.")
    adam_beta1: float = Field(0.9, ge=0, lt=1, description="Decay of adamw's first moment.")
    adam_beta2: float = Field(0.999, ge=0, lt=1, description="Decay of adamw's second moment.")
    rmsprop_alpha: float = Field(0.99, ge=0, lt=1, description="Decay of rmsprop's moment.")
    epsilon: float = Field(1e-8, gt=0, description="Added to the root of the second moment.")
    global_batch: int = Field(4, ge=1, description="Rows per optimizer step.")

    micro_batch: int | None = execution(
        None, "Rows per forward pass, the rest is accumulated; null is the global batch.", ge=1
    )
    activation_checkpointing: bool | None = execution(
        None, "Compute activations again in the backward pass, to save memory; null: no."
    )
    checkpoint_every: int | None = execution(
        50, "Steps between checkpoints; null writes one only when asked to stop.", ge=1
    )
    keep_checkpoints: int = execution(2, "Newest checkpoints that are kept.", ge=1)
    log_every: int = execution(1, "Steps between rows of the training log.", ge=1)
    num_gpus: float | None = execution(0, "GPUs; 0 or null computes on the processor.", ge=0, le=1)

    @model_validator(mode="after")
    def _check_batches(self) -> "TrainingParams":
        whole, part = self.global_batch, self.micro_batch
        if part is not None and whole % part:
            raise UserError(
                f"micro_batch {part} does not divide global_batch {whole}",
                where="micro_batch",
                allowed=[str(rows) for rows in range(1, whole + 1) if whole % rows == 0],
            )
        return self

    def layout(self) -> Layout:
        """Return how the run lies on its machine, null params resolved."""
        return Layout(
            num_gpus=math.ceil(self.num_gpus or 0),
            micro_batch=self.micro_batch or self.global_batch,
            activation_checkpointing=bool(self.activation_checkpointing),
        )

    def recipe(self, steps: int) -> Recipe:
        """Return the recipe for a run of so many steps."""
        shared = {
            name: getattr(self, name) for name in Recipe.__dataclass_fields__ if name in _IN_RECIPE
        }
        layout = self.layout()
        return Recipe(
            steps=steps,
            micro_batch=layout.micro_batch,
            activation_checkpointing=layout.activation_checkpointing,
            **shared,
        )

    def supervision(self, work: Work, recipe: Recipe) -> Supervision:
        """Return the surroundings of a run with these params."""
        return Supervision(
            work=work,
            recipe=recipe,
            layout=self.layout(),
            checkpoint_every=self.checkpoint_every,
            keep_checkpoints=self.keep_checkpoints,
            log_every=self.log_every,
        )


_IN_RECIPE = set(TrainingParams.model_fields) - {"micro_batch", "activation_checkpointing"}
