"""Pushing a model off its course, and drawing what it then says. Weights are never edited."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64

from jobs.taps.taps import blocks_of

if TYPE_CHECKING:
    from torch import Tensor


@contextmanager
def pushed(model: Any, layer: int, shift: Float64[np.ndarray, " d"]) -> Iterator[None]:
    """While this runs, block `layer` hands on its last column with `shift` added.

    Prompts are padded on the left, so that column is the newest token of every row: from the last
    token of a prompt on, everything a model says is said under the push.
    """
    import torch

    vector = torch.from_numpy(shift)

    def push(module: Any, inputs: Any, output: Any) -> Any:
        hidden = output[0] if isinstance(output, tuple) else output
        moved = torch.cat([hidden[:, :-1], hidden[:, -1:] + vector.to(hidden)], dim=1)
        return (moved, *output[1:]) if isinstance(output, tuple) else moved

    handle = blocks_of(model)[layer].register_forward_hook(push)
    try:
        yield
    finally:
        handle.remove()


class Drawn:
    """Chooses among the likeliest tokens by numbers drawn beforehand, a row for each prompt.

    What a prompt draws does not depend on who shares its batch.
    """

    def __init__(
        self, draws: Float64[np.ndarray, "prompts tokens"], top_k: int, temperature: float
    ) -> None:
        """Uniform draws from [0, 1); the tokens to choose among; what logits are divided by."""
        self._draws = draws
        self._top_k = top_k
        self._temperature = temperature

    def __call__(self, logits: Tensor, prompts: Sequence[int], num_said: int) -> Tensor:
        """The next token of each prompt; see `jobs.behaviour.decoding.TokenChoice`."""
        import torch

        best = logits.float().topk(min(self._top_k, logits.shape[-1]), dim=-1)
        upto = (best.values / self._temperature).softmax(dim=-1).cumsum(dim=-1)
        draws = torch.from_numpy(self._draws[list(prompts), num_said]).to(upto)
        place = (upto <= draws[:, None]).sum(dim=-1).clamp(max=upto.shape[-1] - 1)
        return best.indices.gather(1, place[:, None])[:, 0]
