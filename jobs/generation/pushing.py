"""Pushes the residual stream of a model, and draws its tokens. Weights are never edited."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import numpy as np
from jaxtyping import Float64

from jobs.taps.taps import blocks_of

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

    from jobs.models.language_model import LanguageModel

    Output = Tensor | tuple[object, ...]
    """Of a block: the residual stream, or a tuple that begins with it."""


@contextmanager
def pushed(model: LanguageModel, layer: int, shift: Float64[np.ndarray, " d"]) -> Iterator[None]:
    """Add `shift` to the last column of the output of block `layer`, inside the `with` block.

    Prompts are padded on the left, so that column is the newest token of every row: from the last
    token of a prompt on, every token is decoded under the push.
    """
    import torch

    vector = torch.from_numpy(shift)

    def push(module: Module, inputs: object, output: Output) -> Output:
        hidden = cast("Tensor", output[0] if isinstance(output, tuple) else output)
        moved = torch.cat([hidden[:, :-1], hidden[:, -1:] + vector.to(hidden)], dim=1)
        return (moved, *output[1:]) if isinstance(output, tuple) else moved

    handle = blocks_of(model)[layer].register_forward_hook(push)
    try:
        yield
    finally:
        handle.remove()


class TopKSampling:
    """Samples among the likeliest tokens by numbers drawn beforehand, a row for each prompt.

    A prompt's tokens do not depend on the prompts that share its batch.
    """

    def __init__(
        self, draws: Float64[np.ndarray, "prompts tokens"], top_k: int, temperature: float
    ) -> None:
        """Take uniform draws from [0, 1), the number of tokens, and the divisor of logits."""
        self._draws = draws
        self._top_k = top_k
        self._temperature = temperature

    def __call__(self, logits: Tensor, prompts: Sequence[int], num_decoded: int) -> Tensor:
        """Return the next token of each prompt; see `jobs.behaviour.decoding.TokenChoice`."""
        import torch

        best = logits.float().topk(min(self._top_k, logits.shape[-1]), dim=-1)
        upto = (best.values / self._temperature).softmax(dim=-1).cumsum(dim=-1)
        draws = torch.from_numpy(self._draws[list(prompts), num_decoded]).to(upto)
        place = (upto <= draws[:, None]).sum(dim=-1).clamp(max=upto.shape[-1] - 1)
        return best.indices.gather(1, place[:, None])[:, 0]
