"""`Correction`: what measured peaks of done jobs say about the closed form of memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import linear_regression, median
from typing import Any, TypedDict

from jobs.training.planning.footprint import Footprint

GB = 1e9
ON_PROCESSOR_GB = 1.0
"""A process with torch and trl beside its model (0.7 GB measured with torch 2.13), and room."""
_LEAST, _MOST = 0.5, 3.0
"""Beyond these, a measurement is of something else than a batch."""


class MemoryFacts(TypedDict):
    """The fact `memory` of an aligned model; GB are 10^9 bytes, of the fullest rank."""

    predicted_gb: float
    """Peak of the closed form."""
    probed_gb: float | None
    """Peak of the two passes before the first step; None where they were not tried."""
    corrected_gb: float | None
    """Peak to expect of a step, as the two passes say."""
    measured_gb: float | None
    """Peak of the run."""
    not_probed: str | None
    """Why the passes were not tried."""
    states_gb: float
    """`Footprint.states` of the closed form."""
    working_gb: float
    """`Footprint.working` of the closed form."""
    step_gb: float
    """`Footprint.step` of the closed form."""
    flops_per_second: int | None
    """Operations of one rank per second, nothing computed twice."""
    layout: dict[str, Any]
    """Fields of `Layout`."""
    dtype: str
    """Computed in."""
    attention: str
    """The kernel asked for."""
    sequence_length: int
    """Tokens of the longest sequence."""
    family: str
    """`model_type` of the model."""
    num_parameters: int
    """Weights of the model."""


def memory_facts(done: Sequence[Mapping[str, Any]]) -> list[MemoryFacts]:
    """Return the fact `memory` of done jobs that have one, from all their facts."""
    return [facts["memory"] for facts in done if facts.get("memory")]


@dataclass(frozen=True, kw_only=True)
class Correction:
    """The closed form's peak -> the peak to expect."""

    scale: float = 1.0
    """Of what a forward and backward pass takes."""
    base_gb: float = 0.0
    """What is there whatever is trained, in 10^9 bytes."""

    def peak_gb(self, footprint: Footprint) -> float:
        """Return the peak to expect, in 10^9 bytes."""
        batch = footprint.states + self.scale * footprint.working
        return self.base_gb + max(batch, footprint.step) / GB


def corrected_by(
    done: Sequence[MemoryFacts], *, on_gpu: bool, dtype: str, attention: str
) -> Correction:
    """Fit a correction to done jobs; the closed form stays as it is where none is like this one.

    Two unknowns: with several jobs both are fitted, by least squares; with one, the scale alone.
    """
    alike = [
        memory
        for memory in done
        if bool(memory["layout"]["num_gpus"]) == on_gpu
        and (memory["dtype"], memory["attention"]) == (dtype, attention)
        and memory["states_gb"] + memory["working_gb"] >= memory["step_gb"]
    ]
    base_gb = 0.0 if on_gpu else ON_PROCESSOR_GB
    points = {
        (memory["working_gb"], memory["measured_gb"] - memory["states_gb"])
        for memory in alike
        if memory["measured_gb"] is not None
    }
    if not points:
        return Correction(base_gb=base_gb)
    if len({working for working, _ in points}) > 1:
        scale, fitted = linear_regression(*zip(*sorted(points), strict=True))
        if _LEAST <= scale <= _MOST and fitted >= 0:
            return Correction(scale=scale, base_gb=fitted)
    scale = median((rest - base_gb) / working for working, rest in points)
    return Correction(scale=min(max(scale, _LEAST), _MOST), base_gb=base_gb)
