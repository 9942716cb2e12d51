"""Contract: what carries out a training run on one or several ranks. Engines live in `engines/`.

Importing one imports no heavy library: planning asks each what it shards. An engine never changes
the experiment: batches, order, optimizer, precision and number of steps are the recipe's.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

from jobs.training.layout import Layout
from jobs.training.recipe import Recipe


class Held(Enum):
    """What a rank holds of a model in training."""

    WEIGHTS = "weights"
    GRADIENTS = "gradients"
    MOMENTS = "moments"
    """Of the optimizer."""


class Engine(Protocol):
    """The names a module in `engines/` defines."""

    SHARDED: frozenset[Held]
    """What is divided among the ranks; every rank holds all of the rest."""
    NEEDS_GPU: bool
    """True when it cannot run on processors."""
    CAN_OFFLOAD: bool
    """True when it can keep optimizer state in host memory."""
    CAN_KEEP_BEST: bool
    """True when it can go back to the weights of the lowest validation loss."""

    def arguments(self, layout: Layout, recipe: Recipe) -> Mapping[str, Any]:
        """Arguments of a Hugging Face Trainer beyond the recipe's, all written out."""

    def session(self, layout: Layout, recipe: Recipe) -> AbstractContextManager[None]:
        """What has to stand while a model is loaded, trained and exported."""

    def check(self, trainer: Any, layout: Layout) -> Mapping[str, Any]:
        """After the Trainer prepared its model: what is in force, as facts for the record.

        Raises AssertionError when it is not what was planned: libraries fall back in silence.
        """

    def export(self, trainer: Any, folder: Path) -> None:
        """Write the trained weights to a folder as fp32 safetensors; all ranks call it.

        The first rank writes, as `save_pretrained` would: `config.json` and shards with the hub's
        names. It waits for the others.
        """

    # One more name is optional: `prepare` asks for it.
    # - prepare(trainer, layout) -> None: what has to be done to a Trainer and its model before it
    #   prepares them itself; nothing where absent.


def prepare(engine: Engine, trainer: Any, layout: Layout) -> None:
    """Have an engine do to a supervised Trainer what it does not do by arguments."""
    asked = getattr(engine, "prepare", None)
    if asked is not None:
        asked(trainer, layout)
