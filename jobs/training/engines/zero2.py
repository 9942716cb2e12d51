"""DeepSpeed ZeRO-2: moments and gradients are divided among the ranks."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from jobs.training import zero
from jobs.training.engine import Held
from jobs.training.layout import Layout
from jobs.training.recipe import Recipe
from jobs.training.whole_weights import save_whole

SHARDED = frozenset({Held.GRADIENTS, Held.MOMENTS})
NEEDS_GPU = False
CAN_OFFLOAD = True
CAN_KEEP_BEST = True
_STAGE = 2


def arguments(layout: Layout, recipe: Recipe) -> Mapping[str, Any]:
    """See Engine."""
    return zero.arguments(_STAGE, layout, recipe)


def session(layout: Layout, recipe: Recipe) -> AbstractContextManager[None]:
    """See Engine."""
    return zero.session(_STAGE, layout, recipe)


def check(trainer: Any, layout: Layout) -> Mapping[str, Any]:
    """See Engine."""
    return zero.check(_STAGE, trainer, layout)


def export(trainer: Any, folder: Path) -> None:
    """See Engine."""
    save_whole(trainer.model, folder)
