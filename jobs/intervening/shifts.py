"""Interventions along a direction and on neurons; activations are in float32."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from jaxtyping import Float64

from jobs.intervening.intervention import Edit, Intervention, Target

if TYPE_CHECKING:
    from torch import Tensor

Vector = Float64[np.ndarray, " d"]


class Along(Intervention):
    """Adds `dose` steps of the target's direction at every position."""

    SUBJECT = "base"
    SIGN: ClassVar[int] = 1
    """-1: the steps are taken away."""

    def edits(self, target: Target, dose: float) -> Sequence[Edit]:
        """Return the edit of one dose."""
        assert target.direction is not None, "the target has no direction"
        vector = self.SIGN * dose * target.step * target.direction

        def shift(x: Tensor) -> Tensor:
            return as_tensor(vector, x).expand_as(x)

        return [Edit(place=target.site, layer=target.layer, shift=shift)]


class OnNeurons(Intervention):
    """Multiplies by the dose what PLACE shows of the target's neurons."""

    MADE = "neurons"
    SUBJECT = "aligned"
    PLACE: ClassVar[str]

    def edits(self, target: Target, dose: float) -> Sequence[Edit]:
        """Return an edit per layer that shifts the target's neurons there."""
        return [
            Edit(place=self.PLACE, layer=layer, shift=partial(self.shift, dose), columns=neurons)
            for layer, neurons in sorted(target.neurons.items())
            if len(neurons)
        ]

    def shift(self, dose: float, x: Tensor) -> Tensor:
        """Compute what is added to activations `x`."""
        return (dose - 1) * x


def as_tensor(vector: Vector, like: Tensor) -> Tensor:
    """Move a vector to the device and dtype of activations."""
    import torch

    return torch.from_numpy(vector).to(like)
