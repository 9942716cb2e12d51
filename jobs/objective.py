"""Contract: what a model is trained towards. Objectives live in `objectives/`, one per file.

Importing one imports no heavy library: planning asks each whether it uses the reference.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float64, Int64

from jobs.training.tokenized_pairs import TokenizedPair


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
    beta: float
    """Strength of the tie to the reference."""
    seed: int
    """For objectives that draw something themselves."""


class Objective(Protocol):
    """The names a module in `objectives/` defines."""

    USES_REFERENCE: bool
    """True when the reference's log-probabilities enter the loss."""

    def make_trainer(self, lesson: Lesson) -> Any:
        """A Trainer that takes our token ids verbatim.

        It has `jobs.training.supervision.Supervised` mixed in.
        """

    def validation_loss(self, policy: ScoredPairs, reference: ScoredPairs, beta: float) -> float:
        """The objective's own loss on validation pairs, from both models' sums."""
