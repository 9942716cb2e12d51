"""`Recipe`: every setting of a training run, written out, and what is made of it.

Nothing is inherited from a library's defaults, which move between versions: the optimizer, the
schedule, the order of the data and the Trainer's arguments are all made here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Int64
from pydantic import Field

from jobs.shared_params import ComputeParams
from jobs.training.layout import Layout

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Parameter
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LambdaLR


MOST_TOGETHER = 500_000_000
"""Weights up to which a GPU's RMSprop steps on all at once, for which it holds a copy of them."""


class PrecisionParams(ComputeParams):
    """In which precision, and by which kernel, pairs and rows are computed."""

    dtype: Literal["float32", "bfloat16"] = Field(
        "float32", description="Computed in; the weights are fp32 either way."
    )
    attention: Literal["sdpa", "eager"] = Field("sdpa", description="Attention kernel.")


class RecipeParams(PrecisionParams):
    """How weights are trained, whatever the loss."""

    seed: int = Field(
        0, ge=0, lt=2**32, description="Decides the order of the data, and all other random draws."
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
    global_batch: int = Field(4, ge=1, le=10**9, description="Rows per optimizer step.")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One run of so many steps, as its params and its layout have it."""

    settings: RecipeParams
    """How weights are trained."""
    layout: Layout
    """How the run lies on its machines."""
    steps: int
    """Optimizer steps."""

    def optimizer_for(self, parameters: Iterable[Parameter]) -> Optimizer:
        """Make the torch optimizer for parameters that are trained.

        Decay of weights is decoupled in adamw, and added to the gradient in rmsprop.
        """
        import torch

        settings = self.settings
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        matrices = [weight for weight in trained if _num_axes(weight) >= 2]
        others = [weight for weight in trained if _num_axes(weight) < 2]
        groups = [
            {"params": weights, "weight_decay": decay}
            for weights, decay in ((matrices, settings.weight_decay), (others, 0.0))
            if weights
        ]
        if settings.optimizer == "adamw":
            betas = (settings.adam_beta1, settings.adam_beta2)
            return torch.optim.AdamW(
                groups, lr=settings.learning_rate, betas=betas, eps=settings.epsilon, fused=True
            )
        assert settings.optimizer == "rmsprop", settings.optimizer
        return torch.optim.RMSprop(
            groups,
            lr=settings.learning_rate,
            alpha=settings.rmsprop_alpha,
            eps=settings.epsilon,
            momentum=0.0,
            centered=False,
            # The arithmetic is the same; weight by weight, a step's temporaries are one weight's.
            foreach=False if sum(map(_num_weights, trained)) > MOST_TOGETHER else None,
        )

    def scheduler_for(self, optimizer: Optimizer) -> LambdaLR:
        """Make the torch scheduler of an optimizer."""
        import torch

        return torch.optim.lr_scheduler.LambdaLR(optimizer, self.rate_factor())

    def rate_factor(self) -> Callable[[int], float]:
        """Return what maps a step (from 0) to the share of the learning rate that it uses."""
        schedule, warmup_steps = self.settings.schedule, self.settings.warmup_steps
        rise, decay = warmup_steps + 1, max(1, self.steps - warmup_steps)

        def factor(step: int) -> float:
            if step < warmup_steps:
                return (step + 1) / rise
            done = min(1.0, (step - warmup_steps) / decay)
            if schedule == "cosine":
                return 0.5 * (1 + math.cos(math.pi * done))
            return 1.0 - done if schedule == "linear" else 1.0

        return factor

    def trainer_arguments(self, folder: Path, device: str) -> dict[str, object]:
        """Return arguments of any Hugging Face Trainer, which saves and reports nothing by itself.

        An engine's arguments go on top of them.
        """
        settings, layout = self.settings, self.layout
        return {
            "output_dir": str(folder),
            "max_steps": self.steps,
            "per_device_train_batch_size": layout.micro_batch,
            "gradient_accumulation_steps": layout.accumulation(settings.global_batch),
            "learning_rate": settings.learning_rate,
            "max_grad_norm": settings.max_grad_norm,
            "weight_decay": settings.weight_decay,
            "label_smoothing_factor": 0.0,
            "seed": settings.seed,
            "data_seed": settings.seed,
            "full_determinism": False,
            "use_cpu": device == "cpu",
            "bf16": settings.dtype == "bfloat16",
            "fp16": False,
            "tf32": False,
            "torch_compile": False,
            "activation_checkpointing": layout.activation_checkpointing,
            "activation_checkpointing_kwargs": {"use_reentrant": False},
            "auto_find_batch_size": False,
            "average_tokens_across_devices": True,
            "train_sampling_strategy": "sequential",
            "dataloader_num_workers": 0,
            "dataloader_pin_memory": device != "cpu",
            "dataloader_drop_last": False,
            "remove_unused_columns": False,
            "ignore_data_skip": False,
            "restore_callback_states_from_checkpoint": False,
            "logging_strategy": "steps",
            "logging_steps": 1,
            "logging_nan_inf_filter": False,
            "eval_strategy": "no",
            "save_strategy": "no",
            "save_total_limit": None,
            "push_to_hub": False,
            "report_to": "none",
            "disable_tqdm": True,
        }


def _num_axes(weight: Tensor) -> int:
    """Count the axes of the whole weight: where ZeRO-3 divided it, this rank has a flat piece."""
    return len(getattr(weight, "ds_shape", weight.shape))


def _num_weights(weight: Tensor) -> int:
    """Count the weights of the whole tensor: where ZeRO-3 divided it, this rank has a piece."""
    return int(getattr(weight, "ds_numel", weight.numel()))


def data_order(num_rows: int, num_needed: int, seed: int) -> Int64[np.ndarray, " needed"]:
    """Return the index of every row of the run in order: one seeded permutation after another.

    Batches run on from one pass into the next, so every step has a whole batch. Step `s` (from 0)
    sees rows `[s * global_batch, (s + 1) * global_batch)` of this, however they are split up.
    """
    generator = np.random.default_rng(seed)
    passes = [generator.permutation(num_rows) for _ in range(-(-num_needed // num_rows))]
    return np.concatenate(passes)[:num_needed]
