"""Edits that interventions share, as functions of activations in float32."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64

from jobs.intervening.intervention import Edit, Target

if TYPE_CHECKING:
    from torch import Tensor

Vector = Float64[np.ndarray, " d"]


def along(target: Target, length: float) -> Edit:
    """Return the edit that adds `length` steps of the target's direction."""
    assert target.direction is not None, "the target has no direction"
    vector = length * target.step * target.direction

    def shift(x: Tensor) -> Tensor:
        return as_tensor(vector, x).expand_as(x)

    return Edit(place=target.site, layer=target.layer, shift=shift)


def on_neurons(place: str, target: Target, shift: Callable[[Tensor], Tensor]) -> list[Edit]:
    """Return an edit per layer that shifts the target's neurons there."""
    return [
        Edit(place=place, layer=layer, shift=shift, columns=neurons)
        for layer, neurons in sorted(target.neurons.items())
        if len(neurons)
    ]


def as_tensor(vector: Vector, like: Tensor) -> Tensor:
    """Move a vector to the device and dtype of activations."""
    import torch

    return torch.from_numpy(vector).to(like)
