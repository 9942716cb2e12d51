"""What one rounding to 16 bits does to weights: a model perturbed by as much, then put back.

An aligned model that is computed in 16 bits had its weights rounded; no batch composition shows it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_ONE_IN = 12
"""A rounding error is even between -1/2 and 1/2 of a last place: its variance is 1/12. So is that
of moving one weight in 12 by a whole last place, which 16 bits can hold."""
_AT_ONCE = 1 << 24
"""Weights drawn for together, so that a large matrix needs no second one of its size."""


@contextmanager
def rounded_once_more(model: Any) -> Iterator[None]:
    """While this runs, the last bit of one weight in 12 is the other one, in every matrix alike.

    Flipping it again gives the very bits back. Weights that a family keeps in fp32 stay.
    """
    _flip(model)
    try:
        yield
    finally:
        _flip(model)


def _flip(model: Any) -> None:
    import torch

    for number, parameter in enumerate(model.parameters()):
        if parameter.dtype.itemsize != 2:
            continue
        bits = parameter.data.view(torch.int16).view(-1)
        draw = torch.Generator(device=bits.device).manual_seed(number)
        for part in bits.split(_AT_ONCE):
            drawn = torch.randint(_ONE_IN, part.shape, generator=draw, device=bits.device)
            part.bitwise_xor_((drawn == 0).to(torch.int16))
