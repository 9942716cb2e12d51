"""Contract of a metric of weights, and the door to its entries.

A metric of weights is one file in `weight_metrics/`. Its signature follows what it looks at: a
tensor, a down projection, or value vectors beside mean offsets; one that a study brings along looks
at pairs of tensors (`TensorMetric`). Axes: `neurons`, `d` (width of the
residual stream), `leave` (all prompt groups, then without each), `draws`, `bins`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from jaxtyping import Float

from analysis.door import Door

if TYPE_CHECKING:
    from analysis.measurement import Measurement


class WeightMetric(Protocol):
    """What a module in `weight_metrics/` provides, beside functions and `RANGES` as in `Metric`."""

    DEFINITION: str
    """One line with its version: what the number is, precisely enough to compute it again."""

    @property
    def REPORTS(self) -> tuple[str, ...]:
        """Names of the values that the metric reports, the headline first."""
        ...

    @property
    def HEADLINES(self) -> Mapping[str, int]:
        """Value -> sort number of its column in the default table, as in `Metric`."""
        ...

    NEEDS_OFFSETS: bool
    """Whether some of its values compare with the mean offset δ."""
    AXIS_LABEL: str
    """What to write on a figure's axis, with the unit or range."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TensorPair:
    """One tensor of the base and of the aligned model."""

    name: str
    """Its name in the checkpoint."""
    base: Float[np.ndarray, "*shape"]
    """Its entries in the base."""
    aligned: Float[np.ndarray, "*shape"]
    """Its entries in the aligned model, in the same shape."""


class TensorMetric(WeightMetric, Protocol):
    """A metric of weights that looks at pairs of tensors, as those that a study brings along do."""

    def measure(self, tensors: Iterable[TensorPair], whole: bool) -> Sequence[Measurement]:
        """Measure one block, or the whole model.

        Args:
            tensors: the pairs, read as they are asked for.
            whole: True for all tensors of the model, False for those of one block.

        Returns:
            Values of REPORTS; the layer is added to those of a block.
        """
        ...


WEIGHT_METRICS: Door[WeightMetric] = Door(
    "metric of weights", "analysis.weight_metrics", contract=WeightMetric
)
