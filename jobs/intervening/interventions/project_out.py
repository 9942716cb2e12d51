"""x - dose * ((x - m) . u) u, u along mean δ, m the base's mean: what is alignment without it?

At dose 1 every activation has the coordinate along u that the base has on average.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from jobs.intervening.intervention import Edit, Intervention, Made, Target, as_tensor

if TYPE_CHECKING:
    from torch import Tensor


class ProjectOut(Intervention):
    """The coordinate along the mean offset, brought to its mean in the base."""

    DEFINITION = (
        "dose times what the coordinate along the mean offset exceeds its mean in the base by is "
        "taken away"
    )
    MADE: ClassVar[Made] = "mean-offset"
    SUBJECT = "aligned"
    DOSES = (0.5, 1.0)

    def edits(self, target: Target, dose: float) -> Sequence[Edit]:
        """Return the edits of one dose."""
        direction, base_mean = target.direction, target.base_mean
        assert direction is not None and base_mean is not None, "the base's mean is not known"

        def shift(x: Tensor) -> Tensor:
            unit = as_tensor(direction, x)
            excess = x @ unit - float(base_mean @ direction)
            return -dose * excess[..., None] * unit

        return [Edit(place=target.site, layer=target.layer, shift=shift)]
