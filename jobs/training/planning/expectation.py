"""`Expected`: what one training job is expected to take in each layout: memory, machines, hours."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import median

from pydantic import ValidationError

from cluster.errors import UserError
from cluster.machine.resources import Resources
from jobs.kind import Fit
from jobs.training.align_params import Params
from jobs.training.layout import Layout
from jobs.training.planning.correction import GB, MemoryFacts, corrected_by
from jobs.training.planning.footprint import Training, flops_per_row, footprint
from jobs.training.planning.placement import (
    CONTEXT_GB,
    USABLE,
    described,
    gpu_of,
    have_gpus,
    of_most,
    usable_gb,
)

EFFICIENCY = 0.35
"""Share of a GPU's peak that training reaches, where no done job says."""


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What one job is expected to take."""

    params: Params
    """Params of the job."""
    training: Training
    """What decides its memory beside the layout."""
    num_steps: int | None
    """Optimizer steps; None while nobody can say."""
    machines: Sequence[Resources]
    """What each node offers."""
    tried: Sequence[Layout] = ()
    """Layouts that ran out of memory."""
    done: Sequence[MemoryFacts] = field(default=(), repr=False)
    """Memory of done jobs."""

    def peak_gb(self, layout: Layout) -> float:
        """Return the most memory of a rank, in 10^9 bytes."""
        correction = corrected_by(
            self.done,
            on_gpu=layout.num_gpus > 0,
            dtype=self.training.dtype,
            attention=self.training.attention,
        )
        return correction.peak_gb(footprint(self.training, layout))

    def holds(self, layout: Layout, machines: Sequence[Resources]) -> bool:
        """Return whether machines have the GPUs of a layout and, as far as is known, the memory."""
        if machines and not have_gpus(layout, machines):
            return False
        peak_gb, most = self.peak_gb(layout), usable_gb(layout, machines)
        # Layouts that ran out of memory were expected to fit: none that takes as much is retried.
        failed = [
            self.peak_gb(other)
            for other in self.tried
            if bool(other.num_gpus) == bool(layout.num_gpus)
        ]
        return (most is None or peak_gb <= most) and all(peak_gb < failure for failure in failed)

    def fit(self, layout: Layout) -> Fit:
        """Describe the job in this layout, as the plan takes it."""
        peak_gb = round(self.peak_gb(layout), 3)
        return Fit(
            resources=self.resources(layout),
            execution=layout.execution,
            peak_memory_gb=peak_gb,
            hours=self.hours(layout),
            why=f"{self.training.model.num_parameters / 1e9:.2f} B weights by {described(layout)}: "
            f"{peak_gb:.3g} GB{of_most(layout, self.machines)} at "
            f"{self.training.sequence_length} tokens",
        )

    def resources(self, layout: Layout) -> Resources:
        """Return what the job asks of the machines in this layout."""
        given = with_layout(self.params, layout).resources()
        if layout.num_gpus:
            host_gb = round(footprint(self.training, layout).host / GB, 1)
            needed = round(self.peak_gb(layout) / USABLE + CONTEXT_GB, 1)
            return replace(given, gpu_memory_gb=needed, memory_gb=max(given.memory_gb, host_gb))
        return replace(given, memory_gb=max(given.memory_gb, round(self.peak_gb(layout), 1)))

    def hours(self, layout: Layout) -> float | None:
        """Return the wall time of all steps in hours, all rows as long as the longest.

        None where not known, as with an optimizer in host memory: its time is the host's.
        """
        if layout.offload:
            return None
        rate = self._flops_per_second(layout)
        if self.num_steps is None or rate is None:
            return None
        again = 4 / 3 if layout.activation_checkpointing else 1.0
        flops = self.num_steps * self.training.global_batch * flops_per_row(self.training) * again
        return round(flops / (rate * layout.num_ranks) / 3600, 4)

    def _flops_per_second(self, layout: Layout) -> float | None:
        """Return operations of one rank per second: measured in done jobs, else a GPU's share."""
        measured = [
            memory["flops_per_second"]
            for memory in self.done
            if memory["flops_per_second"]
            and bool(memory["layout"]["num_gpus"]) == (layout.num_gpus > 0)
            and memory["dtype"] == self.training.dtype
        ]
        if measured:
            return float(median(measured))
        product = gpu_of(layout, self.machines)
        return None if product is None else EFFICIENCY * product.flops(self.training.dtype)


def forbidden(params: Params, layout: Layout) -> str | None:
    """Return why the params refuse a layout, as an adapter may an engine; None if they do not."""
    try:
        with_layout(params, layout)
    except UserError as fault:
        return fault.error
    except ValidationError as fault:
        return str(fault.errors()[0]["msg"])
    return None


def with_layout(params: Params, layout: Layout) -> Params:
    """Return the params with what a layout decides."""
    written = {name: getattr(params, name) for name in params.model_fields_set}
    return type(params)(**{**written, **layout.execution})
