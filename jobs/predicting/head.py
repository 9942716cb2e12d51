"""`Head`: what a model makes of rows of its residual stream: final norm, unembedding, and the rest.

The rest (soft caps, scales, projections) is known to the model alone, so it does all of it itself:
it reads one token, and what its last block hands on is replaced by the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from jaxtyping import Float, Float32

from jobs.taps.taps import blocks_of

if TYPE_CHECKING:
    from torch import Tensor

    from jobs.taps.activations import Inputs

_MOST_LOGITS = 1 << 24
"""Numbers held of one chunk of rows: 64 MiB in fp32, and twice that where a softmax is in fp64."""


class Head:
    """From the residual stream to logits, as one model does it."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._last_block = blocks_of(model)[-1]

    @classmethod
    def left_of(cls, model: Any) -> Head:
        """The same, the memory of all blocks but the last freed; `model` is good for nothing else.

        The model must be nobody else's: what is left of it is held here.
        """
        blocks = blocks_of(model)
        del blocks[:-1]
        return cls(model)

    def rows(self, inputs: Inputs) -> Float[Tensor, "rows d"]:
        """The gathered rows of a batch that leave the last block, where a family has no site too.

        Not for what is left of a model.
        """
        import torch

        found: list[Tensor] = []

        def keep(_module: Any, _inputs: Any, output: Any) -> None:
            found.append(inputs.gather(_stream(output)))

        with torch.inference_mode(), self._hooked(keep):
            # No mask: padding is on the right, where a causal model never looks.
            self._model.base_model(
                input_ids=inputs.token_ids, position_ids=inputs.position_ids, use_cache=False
            )
        (rows,) = found
        return rows

    @property
    def device(self) -> Any:
        """Where tokens go."""
        return self._model.device

    @property
    def vocab_size(self) -> int:
        """Logits of a row."""
        return int(self._model.config.vocab_size)

    def logits(self, rows: Float[Tensor, "rows d"]) -> Float32[Tensor, "rows vocabulary"]:
        """Logits of rows of the residual stream, read as if they left the last block."""
        import torch

        def instead(_module: Any, _inputs: Any, output: Any) -> Any:
            given = rows[:, None].to(_stream(output))  # a text of one token each
            return (given, *output[1:]) if isinstance(output, tuple) else given

        token = torch.zeros(1, 1, dtype=torch.long, device=self._model.device)
        with torch.inference_mode(), self._hooked(instead):
            found: Tensor = self._model(input_ids=token, use_cache=False).logits[:, 0].float()
        return found

    def parts(self, num_rows: int) -> Iterator[slice]:
        """Slices of rows whose logits may be held together."""
        size = max(1, _MOST_LOGITS // self.vocab_size)
        for start in range(0, num_rows, size):
            yield slice(start, min(start + size, num_rows))

    @contextmanager
    def _hooked(self, hook: Callable[[Any, Any, Any], Any]) -> Iterator[None]:
        handle = self._last_block.register_forward_hook(hook)
        try:
            yield
        finally:
            handle.remove()


def _stream(output: Any) -> Any:
    """What a block hands on, of what it returns."""
    return output[0] if isinstance(output, tuple) else output
