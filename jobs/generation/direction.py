"""Contract: a direction of the residual stream to push a model along; those are `directions/`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from jaxtyping import Float64

from jobs import lookup

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, kw_only=True, eq=False)
class Contrast:
    """What a direction may be made of: how one model holds texts that are toxic, and others."""

    model: Any
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


class Direction(Protocol):
    """The names a module in `directions/` defines."""

    DEFINITION: str
    """What it is, for the report."""

    def direction(self, contrast: Contrast) -> Float64[np.ndarray, " d"]:
        """A vector from decent to toxic, of any length but 0.

        Raises UserError where there is none.
        """


def load_direction(name: str) -> Direction:
    """The direction of this name. Raises UserError with what exists and the nearest match."""
    found: Direction = lookup.find("directions", name, where="direction")
    return found
