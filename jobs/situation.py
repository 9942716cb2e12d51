"""What a kind is told of the plan and the machines around a job, and what it answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cluster.machine.accelerators import Accelerator
from cluster.machine.resources import Resources


@dataclass(frozen=True, kw_only=True)
class Upstream:
    """What a plan knows of a job that another one reads."""

    kind: str
    """Its kind."""
    params: Mapping[str, Any]
    """Its params as JSON, defaults written out."""
    facts: Mapping[str, Any] | None
    """The facts in its record; None when it is not done."""
    files: Mapping[str, int]
    """Name -> bytes of the files it left; empty when it is not done."""
    inputs: Mapping[str, "Upstream"]
    """What it reads itself, the first job under each name."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What was measured on an accelerator, in place of what its maker and a plan say."""

    rates: Mapping[str, float] = field(default_factory=dict)
    """Fields of `Accelerator` -> what products and copies reach there, per second."""
    training: Sequence[Mapping[str, Any]] = ()
    """Facts of short training runs, to correct expected memory by."""

    def of(self, gpu: Accelerator) -> Accelerator:
        """Return the accelerator with these rates."""
        return gpu.at(self.rates)


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What decides, beside its params, how a job is to be done."""

    inputs: Mapping[str, Upstream]
    """What the plan knows of the jobs it reads."""
    machines: Sequence[Resources]
    """What each node offers."""
    tried: Sequence[Mapping[str, Any]] = ()
    """`Fit.execution` of its attempts that ran out of memory, oldest first."""
    done: Sequence[Mapping[str, Any]] = ()
    """Facts of done jobs of its kind, to correct predictions by."""
    calibration: Calibration = Calibration()
    """What was measured on this accelerator."""


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How one job is to be done on the machines at hand: execution, never identity."""

    resources: Resources
    """What it needs of them; what it would need at least, where none of them can hold it."""
    execution: Mapping[str, Any]
    """Execution params, by name, in place of what the study gives; empty when refused."""
    peak_memory_gb: float | None = None
    """Most memory it is expected to take, in 10^9 bytes: of each GPU, or of each process without
    one; None where that is not known."""
    hours: float | None = None
    """Wall time it is expected to take; None where that is not known."""
    why: str = ""
    """One line: what decided it."""
    refusal: str | None = None
    """Why no machine can hold it; None when one can."""


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What one job of GPUs is expected to take; nothing of it is part of a key."""

    memory_gb: Mapping[str, float]
    """Part of its memory -> 10^9 bytes of each GPU, at the peak."""
    least_gb: float
    """10^9 bytes of each GPU that it cannot do without; it makes do with less than the peak."""
    hours: float | None
    """Wall time; None where the GPU's speed, or what the job reads, is not known."""
    why: str
    """What it does, and how that is known."""

    @property
    def peak_gb(self) -> float:
        """The most memory of each GPU, in 10^9 bytes."""
        return sum(self.memory_gb.values())
