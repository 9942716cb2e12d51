"""`GpuJob`: from what a job computes and holds to its forecast on the GPUs at hand."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cluster.machine.accelerators import Accelerator, planned_as
from cluster.machine.resources import Resources
from jobs.forecast.effort import Effort
from jobs.kind import Forecast, Situation

START_S = 20.0
"""Seconds until a fresh process has imported torch and opened a GPU; assumed."""
LOAD_BYTES_PER_S = 1e9
"""What weights are read with, from a shared file system, and checked; assumed."""
USABLE = 0.95
"""Of a device's memory: the rest is lost between blocks that do not fit together."""
CONTEXT_GB = 1.0
"""Of a GPU's memory: the driver's and the kernels' own."""
GB = 1e9


@dataclass(frozen=True, kw_only=True)
class GpuJob:
    """What a job of GPUs computes and holds."""

    num_gpus: float
    """GPUs that it holds; several hold one model together."""
    dtype: str
    """Computed in."""
    effort: Effort | None
    """What it computes and moves, on all its GPUs together; None where nothing says how much."""
    loaded_bytes: float
    """Weights that it reads, also those of a model that takes turns with another."""
    memory: Mapping[str, float]
    """Bytes of all its GPUs together at the peak, by part."""
    least_bytes: float
    """Bytes that it cannot do without: those of the largest model and a row."""
    why: str
    """What it does, and how that is known."""

    def on(self, at: Situation) -> Forecast:
        """Return its forecast on the machines at hand: on the slowest GPU that it may get."""
        each = max(1, math.ceil(self.num_gpus))
        memory = {part: size / GB / each for part, size in self.memory.items()}
        gpu = slowest_gpu(nodes_with(at.machines, self.num_gpus))
        return Forecast(
            memory_gb=memory,
            least_gb=self.least_bytes / GB / each,
            hours=None
            if gpu is None or self.effort is None
            else self._seconds(at.calibration.of(gpu), self.effort) / 3600,
            why=self.why,
        )

    def _seconds(self, gpu: Accelerator, effort: Effort) -> float:
        # Several GPUs hold one model in turn: one of them computes at a time.
        return START_S + self.loaded_bytes / LOAD_BYTES_PER_S + effort.seconds(gpu, self.dtype)


def nodes_with(machines: Sequence[Resources], num_gpus: float) -> list[Resources]:
    """Return the nodes that have so many GPUs, and one at least."""
    return [node for node in machines if node.num_gpus >= max(num_gpus, 1e-9)]


def slowest_gpu(nodes: Sequence[Resources]) -> Accelerator | None:
    """Return the slowest GPU of nodes; None where one is not known."""
    products = {(node.gpu_name, node.gpu_memory_gb) for node in nodes}
    gpus = [planned_as(name, memory_gb) for name, memory_gb in products]
    known = [gpu for gpu in gpus if gpu is not None]
    if not known or len(known) < len(gpus):
        return None
    return min(known, key=lambda gpu: (gpu.half_flops, gpu.bytes_per_s))


def smallest_gpu_gb(nodes: Sequence[Resources]) -> float:
    """Return 10^9 bytes of the smallest GPU of nodes; 0 where not known."""
    return min((node.gpu_memory_gb for node in nodes), default=0.0)
