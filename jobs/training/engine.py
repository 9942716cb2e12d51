"""Contract: what carries out a training run on one or several ranks. Engines live in `engines/`.

Importing one imports no heavy library: planning asks each what it shards. An engine never changes
the experiment: batches, order, optimizer, precision and number of steps are the recipe's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from jobs.door import Door
from jobs.training.layout import Layout
from jobs.training.recipe import Recipe
from jobs.training.trained_weights import save_whole

if TYPE_CHECKING:
    from jobs.training.supervision import Supervised


class Held(Enum):
    """What a rank holds of a model in training."""

    WEIGHTS = "weights"
    GRADIENTS = "gradients"
    MOMENTS = "moments"
    """Of the optimizer."""


class Engine(ABC):
    """What carries out a training run: the class of a file in `engines/`, named after it."""

    SHARDED: ClassVar[frozenset[Held]] = frozenset()
    """What is divided among the ranks; every rank holds all of the rest."""
    NEEDS_GPU: ClassVar[bool] = False
    """True when it cannot run on processors."""
    CAN_OFFLOAD: ClassVar[bool] = False
    """True when it can keep optimizer state in host memory."""
    CAN_KEEP_BEST: ClassVar[bool] = True
    """True when it can go back to the weights of the lowest validation loss."""

    @abstractmethod
    def arguments(self, layout: Layout, recipe: Recipe) -> Mapping[str, object]:
        """Return arguments of a Hugging Face Trainer beyond the recipe's, all written out."""

    def session(self, layout: Layout, recipe: Recipe) -> AbstractContextManager[None]:
        """Set up what is needed while a model is loaded, trained and exported.

        Nothing beyond torch's process group where an engine does not override this.
        """
        return nullcontext()

    def prepare(self, trainer: Supervised, layout: Layout) -> None:  # noqa: B027
        """Change a Trainer and its model before the Trainer prepares them itself.

        Nothing where an engine does not override this.
        """

    @abstractmethod
    def check(self, trainer: Supervised, layout: Layout) -> Mapping[str, object]:
        """Return what is in force after the Trainer prepared its model, as facts for the record.

        Raises:
            AssertionError: it is not what was planned: libraries fall back in silence.
        """

    def export(self, trainer: Supervised, folder: Path) -> None:
        """Write the trained weights to a folder as fp32 safetensors; all ranks call it.

        The first rank writes, as `save_pretrained` would: `config.json` and shards with the hub's
        names. The others wait.
        """
        save_whole(trainer.model, folder)


ENGINES: Door[Engine] = Door("engine", "jobs.training.engines", contract=Engine)
"""The engines that there are, by the names that studies use."""
