"""`Correction`: what measured peaks of done jobs say about the closed form of memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import linear_regression, median
from typing import Any

from jobs.training.planning.footprint import Footprint

GB = 1e9
ON_PROCESSOR_GB = 1.0
"""A process with torch and trl beside its model (0.7 GB measured with torch 2.13), and room."""
_LEAST, _MOST = 0.5, 3.0
"""Beyond these, a measurement is of something else than a batch."""


@dataclass(frozen=True, kw_only=True)
class Correction:
    """The closed form's peak -> the peak to expect."""

    scale: float = 1.0
    """Of what a forward and backward pass takes."""
    base_gb: float = 0.0
    """What is there whatever is trained."""

    def peak_gb(self, found: Footprint) -> float:
        """In 10^9 bytes."""
        batch = found.states + self.scale * found.working
        return self.base_gb + max(batch, found.step) / GB


def corrected_by(
    done: Sequence[Mapping[str, Any]], *, on_gpu: bool, dtype: str, attention: str
) -> Correction:
    """From the facts of done jobs; the closed form as it is where none is like this one.

    Two unknowns: with several jobs both are fitted, by least squares; with one, the scale alone.
    """
    alike = [
        memory
        for memory in (facts.get("memory") for facts in done)
        if memory
        and bool(memory["layout"]["num_gpus"]) == on_gpu
        and (memory["dtype"], memory["attention"]) == (dtype, attention)
        and memory["states_gb"] + memory["working_gb"] >= memory["step_gb"]
    ]
    base_gb = 0.0 if on_gpu else ON_PROCESSOR_GB
    points = {(each["working_gb"], each["measured_gb"] - each["states_gb"]) for each in alike}
    if not points:
        return Correction(base_gb=base_gb)
    if len({working for working, _ in points}) > 1:
        scale, fitted = linear_regression(*zip(*sorted(points), strict=True))
        if _LEAST <= scale <= _MOST and fitted >= 0:
            return Correction(scale=scale, base_gb=fitted)
    scale = median((rest - base_gb) / working for working, rest in points)
    return Correction(scale=min(max(scale, _LEAST), _MOST), base_gb=base_gb)
