"""A model whose 16-bit weights are perturbed by as much as one rounding, and then restored.

Weights of an aligned model that computes in 16 bits were rounded; comparing batches of another
composition does not show that error.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.nn import Module

_ONE_IN = 12
"""A rounding error is uniform between -1/2 and 1/2 of a last place: its variance is 1/12, the same
as that of moving one weight in 12 by a whole last place, which 16 bits can hold."""
_AT_ONCE = 1 << 24
"""Most weights that random numbers are drawn for together: a second large matrix would not fit."""


@contextmanager
def rounded_once_more(model: Module) -> Iterator[None]:
    """Flip the last bit of one weight in 12, in every matrix, while the block runs.

    A second flip restores the same bits. Weights that a family keeps in fp32 are not changed.
    """
    _flip_last_bits(model)
    try:
        yield
    finally:
        _flip_last_bits(model)


def _flip_last_bits(model: Module) -> None:
    import torch

    for number, parameter in enumerate(model.parameters()):
        if parameter.dtype.itemsize != 2:
            continue
        bits = parameter.data.view(torch.int16).view(-1)
        draw = torch.Generator(device=bits.device).manual_seed(number)
        for part in torch.split(bits, _AT_ONCE):
            drawn = torch.randint(_ONE_IN, part.shape, generator=draw, device=bits.device)
            part.bitwise_xor_((drawn == 0).to(torch.int16))
