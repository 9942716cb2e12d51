"""Plain data parallelism: every rank holds the whole model, gradients are averaged.

With one rank nothing is wrapped around the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from jobs.training.engine import Engine
from jobs.training.layout import Layout
from jobs.training.layout_check import require_layout
from jobs.training.recipe import Recipe

if TYPE_CHECKING:
    from jobs.training.supervision import Supervised


class Ddp(Engine):
    """PyTorch's DistributedDataParallel."""

    def arguments(self, layout: Layout, recipe: Recipe) -> Mapping[str, object]:
        """Return the Trainer's arguments for DDP.

        No model of ours leaves a parameter unused or has buffers that training moves.
        """
        return {
            "ddp_find_unused_parameters": False,
            "ddp_broadcast_buffers": False,
            "ddp_bucket_cap_mb": 25,
        }

    def check(self, trainer: Supervised, layout: Layout) -> Mapping[str, object]:
        """Require that DDP is wrapped around the model where several ranks train, else nothing."""
        from torch.nn.parallel import DistributedDataParallel

        wrapped = isinstance(trainer.model_wrapped, DistributedDataParallel)
        assert wrapped == (layout.num_ranks > 1), type(trainer.model_wrapped)
        return require_layout(trainer, layout)
