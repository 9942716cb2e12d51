"""Contract: what a model is trained towards. Objectives live in `objectives/`, one per file.

Importing one imports no heavy library: planning asks each for its settings and whether it uses the
reference.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float64, Int64

from jobs.training.tokenized_pairs import TokenizedPair


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A hyper-parameter of an objective. Params of `align` bear its name and its limits."""

    default: float
    """Its value where a study gives none."""
    may_be_zero: bool = False
    """True where 0 is allowed."""


BETA = Setting(default=0.1)
"""Strength of the tie to the reference, of every objective that has one."""


@dataclass(frozen=True, kw_only=True)
class ScoredPairs:
    """Pairs with the sums of log-probability that a model gives their completions."""

    pairs: Sequence[TokenizedPair]
    """The pairs."""
    chosen: Float64[np.ndarray, " pairs"] | None
    """Sum over the tokens of each chosen completion; None where nothing scored them."""
    rejected: Float64[np.ndarray, " pairs"] | None
    """The same for the rejected ones."""


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """All that an objective builds its trainer from."""

    model: Any
    """The model to train, fp32, in memory once."""
    tokenizer: Any
    """Its tokenizer; only its pad token is used."""
    scored: ScoredPairs
    """The training pairs, scored by the reference when the objective uses one."""
    order: Int64[np.ndarray, " needed"]
    """Index into the pairs of every row of the run, in order."""
    arguments: Mapping[str, Any]
    """The Trainer's arguments that do not depend on the objective."""
    settings: Mapping[str, float]
    """The value of everything in the objective's SETTINGS."""
    seed: int
    """For objectives that draw something themselves."""


class Objective(Protocol):
    """The names a module in `objectives/` defines."""

    USES_REFERENCE: bool
    """True when the reference's log-probabilities enter the loss."""
    SETTINGS: Mapping[str, Setting]
    """Its hyper-parameters by name; a study that gives it another is refused."""

    def make_trainer(self, lesson: Lesson) -> Any:
        """A Trainer that takes our token ids verbatim.

        It has `jobs.training.supervision.Supervised` mixed in.
        """

    def validation_loss(
        self, policy: ScoredPairs, reference: ScoredPairs, settings: Mapping[str, float]
    ) -> float:
        """The objective's own loss on validation pairs, from both models' sums."""

    # Two more names are optional: `needs_whole_batch` and `trains` ask for them.
    # - WHOLE_BATCH: bool: True when the loss of a pair depends on the other pairs of its forward
    #   pass, so that splitting the global batch would give other numbers; False where absent.
    # - TRAINS: bool: False for a control that leaves the model as it is; True where absent.


def needs_whole_batch(objective: Any) -> bool:
    """Whether a forward pass has to hold the global batch."""
    return bool(getattr(objective, "WHOLE_BATCH", False))


def trains(objective: Any) -> bool:
    """Whether there is anything to train, and therefore pairs to read."""
    return bool(getattr(objective, "TRAINS", True))
