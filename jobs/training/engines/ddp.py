"""Plain data parallelism: every rank holds the whole model, gradients are averaged.

With one rank nothing is wrapped around the model.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from jobs.training.engine import Held
from jobs.training.in_force import require_layout
from jobs.training.layout import Layout
from jobs.training.recipe import Recipe
from jobs.training.whole_weights import save_whole

SHARDED: frozenset[Held] = frozenset()
NEEDS_GPU = False
CAN_OFFLOAD = False
CAN_KEEP_BEST = True


def arguments(layout: Layout, recipe: Recipe) -> Mapping[str, Any]:
    """See Engine. No model of ours leaves a parameter unused or has buffers that training moves."""
    return {
        "ddp_find_unused_parameters": False,
        "ddp_broadcast_buffers": False,
        "ddp_bucket_cap_mb": 25,
    }


def session(layout: Layout, recipe: Recipe) -> AbstractContextManager[None]:
    """Nothing has to stand beyond torch's process group."""
    return nullcontext()


def check(trainer: Any, layout: Layout) -> Mapping[str, Any]:
    """See Engine."""
    from torch.nn.parallel import DistributedDataParallel

    wrapped = isinstance(trainer.model_wrapped, DistributedDataParallel)
    assert wrapped == (layout.num_ranks > 1), type(trainer.model_wrapped)
    return require_layout(trainer, layout)


def export(trainer: Any, folder: Path) -> None:
    """See Engine."""
    save_whole(trainer.model, folder)
