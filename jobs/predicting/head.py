"""`Head`: the part of a model after its last block, from the residual stream to logits.

Final norm and unembedding differ by family (soft caps, scales, projections), so the model itself
applies them: the model reads one token, and rows replace the output of its last block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

import torch
from jaxtyping import Float, Float32
from torch import Tensor
from torch.nn import Module

from jobs.models.language_model import LanguageModel
from jobs.taps.activations import Inputs
from jobs.taps.taps import ModuleValue, blocks_of, first_of, with_first

if TYPE_CHECKING:
    Hook: TypeAlias = "Callable[[Module, object, ModuleValue], ModuleValue | None]"

_MOST_LOGITS = 1 << 24
"""Logits in memory for one chunk of rows: 64 MiB in fp32, twice that where a softmax is in fp64."""


class Head:
    """Maps rows of the residual stream after the last block to logits, as one model does."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model
        self._last_block = blocks_of(model)[-1]

    @classmethod
    def remaining_from(cls, model: LanguageModel) -> Head:
        """Keep the head alone: free all blocks of `model` but the last.

        The caller must be the only owner of `model`, which is of no other use afterwards.
        """
        blocks = blocks_of(model)
        del blocks[:-1]
        return cls(model)

    def rows(self, inputs: Inputs) -> Float[Tensor, "rows d"]:
        """Return the gathered rows of a batch after the last block.

        Works in every family, also where no site lies there; not after `remaining_from`.
        """
        outputs: list[Tensor] = []

        def keep(_module: Module, _inputs: object, output: ModuleValue) -> None:
            outputs.append(inputs.gather(first_of(output)))

        with torch.inference_mode(), self._hook_last_block(keep):
            # No mask: padding is on the right, where a causal model never looks.
            self._model.base_model(
                input_ids=inputs.token_ids, position_ids=inputs.position_ids, use_cache=False
            )
        (rows,) = outputs
        return rows

    @property
    def device(self) -> torch.device:
        """Device of the tokens that the model reads."""
        device: torch.device = self._model.device
        return device

    @property
    def vocab_size(self) -> int:
        """Number of logits of a row."""
        return int(self._model.config.vocab_size)

    def logits(self, rows: Float[Tensor, "rows d"]) -> Float32[Tensor, "rows vocabulary"]:
        """Compute the logits of rows of the residual stream, as if the last block had made them."""

        def replace(_module: Module, _inputs: object, output: ModuleValue) -> ModuleValue:
            stream = rows[:, None].to(first_of(output))  # each row is a text of one token
            return with_first(output, stream)

        token = torch.zeros(1, 1, dtype=torch.long, device=self._model.device)
        with torch.inference_mode(), self._hook_last_block(replace):
            logits: Tensor = self._model(input_ids=token, use_cache=False).logits[:, 0].float()
        return logits

    def chunks(self, num_rows: int) -> Iterator[slice]:
        """Yield slices of rows whose logits fit into memory together."""
        size = max(1, _MOST_LOGITS // self.vocab_size)
        for start in range(0, num_rows, size):
            yield slice(start, min(start + size, num_rows))

    @contextmanager
    def _hook_last_block(self, hook: Hook) -> Iterator[None]:
        handle = self._last_block.register_forward_hook(hook)
        try:
            yield
        finally:
            handle.remove()
