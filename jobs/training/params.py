"""Params that every training kind has: the recipe's settings and how the work is done."""

import math

from pydantic import model_validator

from cluster.errors import UserError
from jobs.params import added, execution
from jobs.training.divisors import divisors
from jobs.training.layout import Layout
from jobs.training.recipe import Recipe, RecipeParams


class TrainingParams(RecipeParams):
    """Settings shared by `pretrain` and `align`; each has its own defaults for some."""

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
    deterministic: bool = added(
        False,
        "Use only kernels that repeat themselves to the bit on a GPU. Slower there; nothing "
        "changes on a processor.",
    )
    num_gpus: float | None = execution(0, "GPUs; 0 or null computes on the processor.", ge=0, le=1)

    @model_validator(mode="after")
    def _check_batches(self) -> "TrainingParams":
        whole, part = self.global_batch, self.micro_batch
        if part is not None and whole % part:
            raise UserError(
                f"micro_batch {part} does not divide global_batch {whole}",
                where="micro_batch",
                allowed=map(str, divisors(whole)),
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
        return Recipe(settings=self, layout=self.layout(), steps=steps)
