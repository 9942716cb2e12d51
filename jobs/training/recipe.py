"""`Recipe`: every setting of a training run, written out, and what is made of it.

Nothing is inherited from a library's defaults, which move between versions: the optimizer, the
schedule, the order of the data and the Trainer's arguments are all made here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int64

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Parameter
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LambdaLR


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How weights are trained, whatever the loss."""

    steps: int
    """Optimizer steps."""
    global_batch: int
    """Rows per optimizer step."""
    micro_batch: int
    """Rows per forward pass, a divisor of the global batch; the rest is accumulated."""
    seed: int
    """Decides the order of rows and all that is random in the loss."""
    optimizer: str
    """`rmsprop` or `adamw`."""
    learning_rate: float
    """Learning rate at the top of the schedule."""
    schedule: str
    """The rate after the warm-up: `constant`, or `linear` or `cosine` to 0 at the last step."""
    warmup_steps: int
    """Steps over which the rate rises."""
    weight_decay: float
    """Decay of weights: decoupled (adamw) or added to the gradient (rmsprop); on matrices only."""
    max_grad_norm: float
    """Gradients are scaled down to this norm."""
    adam_beta1: float
    """Decay of adamw's first moment."""
    adam_beta2: float
    """Decay of adamw's second moment."""
    rmsprop_alpha: float
    """Decay of rmsprop's second moment."""
    epsilon: float
    """Added to the root of the second moment."""
    dtype: str
    """Precision of the computation: `float32`, or `bfloat16` under autocast over fp32 weights."""
    activation_checkpointing: bool
    """Recompute activations in the backward pass, to save memory."""

    def optimizer_for(self, parameters: Iterable[Parameter]) -> Optimizer:
        """Make the torch optimizer for parameters that are trained."""
        import torch

        trained = [parameter for parameter in parameters if parameter.requires_grad]
        matrices = [weight for weight in trained if _num_axes(weight) >= 2]
        others = [weight for weight in trained if _num_axes(weight) < 2]
        groups = [
            {"params": weights, "weight_decay": decay}
            for weights, decay in ((matrices, self.weight_decay), (others, 0.0))
            if weights
        ]
        if self.optimizer == "adamw":
            betas = (self.adam_beta1, self.adam_beta2)
            return torch.optim.AdamW(
                groups, lr=self.learning_rate, betas=betas, eps=self.epsilon, fused=True
            )
        assert self.optimizer == "rmsprop", self.optimizer
        return torch.optim.RMSprop(
            groups,
            lr=self.learning_rate,
            alpha=self.rmsprop_alpha,
            eps=self.epsilon,
            momentum=0.0,
            centered=False,
        )

    def scheduler_for(self, optimizer: Optimizer) -> LambdaLR:
        """Make the torch scheduler of an optimizer."""
        import torch

        return torch.optim.lr_scheduler.LambdaLR(optimizer, self.rate_factor())

    def rate_factor(self) -> Callable[[int], float]:
        """Return what maps a step (from 0) to the share of the learning rate that it uses."""
        rise, decay = self.warmup_steps + 1, max(1, self.steps - self.warmup_steps)

        def factor(step: int) -> float:
            if step < self.warmup_steps:
                return (step + 1) / rise
            done = min(1.0, (step - self.warmup_steps) / decay)
            if self.schedule == "cosine":
                return 0.5 * (1 + math.cos(math.pi * done))
            return 1.0 - done if self.schedule == "linear" else 1.0

        return factor

    def trainer_arguments(self, folder: Path, device: str, num_ranks: int = 1) -> dict[str, object]:
        """Return arguments of any Hugging Face Trainer, which saves and reports nothing by itself.

        An engine's arguments go on top of them.
        """
        accumulation, rest = divmod(self.global_batch, self.micro_batch * num_ranks)
        assert accumulation and not rest, (self.global_batch, self.micro_batch, num_ranks)
        return {
            "output_dir": str(folder),
            "max_steps": self.steps,
            "per_device_train_batch_size": self.micro_batch,
            "gradient_accumulation_steps": accumulation,
            "learning_rate": self.learning_rate,
            "max_grad_norm": self.max_grad_norm,
            "weight_decay": self.weight_decay,
            "label_smoothing_factor": 0.0,
            "seed": self.seed,
            "data_seed": self.seed,
            "full_determinism": False,
            "use_cpu": device == "cpu",
            "bf16": self.dtype == "bfloat16",
            "fp16": False,
            "tf32": False,
            "torch_compile": False,
            "activation_checkpointing": self.activation_checkpointing,
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


def data_order(num_rows: int, num_needed: int, seed: int) -> Int64[np.ndarray, " needed"]:
    """Return the index of every row of the run in order: one seeded permutation after another.

    Batches run on from one pass into the next, so every step has a whole batch. Step `s` (from 0)
    sees rows `[s * global_batch, (s + 1) * global_batch)` of this, however they are split up.
    """
    generator = np.random.default_rng(seed)
    passes = [generator.permutation(num_rows) for _ in range(-(-num_needed // num_rows))]
    return np.concatenate(passes)[:num_needed]
