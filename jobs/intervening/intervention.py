"""Contract: an intervention, a change to activations while a model runs; see `interventions/`.

An intervention is one direction, or a few neurons, and a dose; weights are never edited. Importing
an intervention imports no heavy library.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from jaxtyping import Float64, Int64

from jobs.door import Door

if TYPE_CHECKING:
    from torch import Tensor

KEYS = "mlp_key"
"""Beside the sites of a family: k.x of every neuron, before its bias; in a gated MLP the gate's."""

Made = Literal["direction", "mean-offset", "shared-part", "rest", "neurons"]
"""What an intervention acts along or on: a direction of the study's choice, the mean offset between
the two models, its part inside the subspace of another extraction's δ (`against`), what is left of
it outside, or the most toxic neurons."""
PARTS: tuple[Made, ...] = ("shared-part", "rest")
"""Parts of the mean offset."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Edit:
    """An addition to the activations of one place."""

    place: str
    """A site, or KEYS."""
    layer: int
    """Layer, from 0."""
    shift: Callable[[Tensor], Tensor]
    """Activations [..., d or columns] in float32 -> the addition, of the same shape."""
    columns: Int64[np.ndarray, " columns"] | None = None
    """Neurons that it is confined to; None for all coordinates."""
    newest_only: bool = False
    """True: while a continuation is decoded, at its newest token alone; else at every token that is
    forwarded."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Target:
    """The direction or the neurons of an intervention."""

    site: str
    """Site of a block that a direction is applied at."""
    layer: int
    """Its layer."""
    direction: Float64[np.ndarray, " d"] | None = None
    """Of length 1; None for interventions on neurons."""
    step: float = 1.0
    """Length of a shift of dose 1."""
    base_mean: Float64[np.ndarray, " d"] | None = None
    """Mean of the base's activations there, where it is known."""
    share: float | None = None
    """Of a part of the mean offset: its share of the squared length."""
    neurons: Mapping[int, Int64[np.ndarray, " k"]]
    """Layer -> toxic neurons; empty for interventions along a direction."""
    num_neurons: int
    """Neurons of an MLP."""

    def randomised(self, draw: np.random.Generator) -> Target:
        """Return a target with a random direction of equal length, or as many other neurons."""
        neurons = {
            layer: draw.choice(
                np.setdiff1d(np.arange(self.num_neurons), chosen), len(chosen), replace=False
            )
            for layer, chosen in sorted(self.neurons.items())
        }
        if self.direction is None:
            return replace(self, neurons=neurons)
        drawn = draw.standard_normal(len(self.direction))
        return replace(self, direction=drawn / np.linalg.norm(drawn))


Subject = Literal["base", "aligned"]
"""A model of a pair."""


class Intervention(ABC):
    """A change of activations: the class of a file in `interventions/`, named after it."""

    DEFINITION: ClassVar[str]
    """Definition of the change, part of the measurement's definition."""
    MADE: ClassVar[Made]
    """Whether it acts along a direction or on neurons."""
    SUBJECT: ClassVar[Subject]
    """The model that is changed unless a study says otherwise."""
    DOSES: ClassVar[tuple[float, ...]]
    """Doses unless a study says otherwise; 0 stands for the unchanged model."""
    PLACE: ClassVar[str | None] = None
    """Site of the neurons it acts on, or KEYS; None for the study's own choice of a site."""

    @abstractmethod
    def edits(self, target: Target, dose: float) -> Sequence[Edit]:
        """Return the edits of one dose."""


INTERVENTIONS: Door[Intervention] = Door(
    "intervention", "jobs.intervening.interventions", contract=Intervention
)


Vector = Float64[np.ndarray, " d"]


class Along(Intervention):
    """Adds `dose` steps of the target's direction."""

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
