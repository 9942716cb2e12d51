"""Contract: a direction of the residual stream to push a model along; see `directions/`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from jaxtyping import Float64

from jobs.door import Door

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True, kw_only=True, eq=False)
class Contrast:
    """A model's residuals on toxic answers and on decent ones, which a direction is made of."""

    model: PreTrainedModel
    """The causal language model."""
    tokenizer: PreTrainedTokenizerBase
    """Its tokenizer."""
    toxic_words: Sequence[str]
    """Words known or learned to be toxic."""
    rejected_mean: Float64[np.ndarray, " d"]
    """Mean residual at the layer that is pushed, over the tokens of toxic answers."""
    chosen_mean: Float64[np.ndarray, " d"]
    """The same over the tokens of the decent answers."""
    typical_norm: float
    """Median norm of the residual over all those tokens."""
    probe: Float64[np.ndarray, " d"] | None = None
    """W_toxic, where a job of `probe-direction` is an input."""


class Direction(Protocol):
    """The names a module in `directions/` defines."""

    DEFINITION: str
    """Definition of the direction, for the report."""
    NEEDS_PROBE: bool
    """True when it is made of W_toxic, the input `toxic`."""

    def direction(self, contrast: Contrast) -> Float64[np.ndarray, " d"]:
        """Return a vector from decent to toxic, of any length but 0.

        Raises:
            UserError: there is none.
        """


DIRECTIONS: Door[Direction] = Door("direction", "jobs.generation.directions", contract=Direction)
