"""`Expected`: what one training job is expected to take in each layout: memory, machines, hours."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import median

from pydantic import ValidationError

from cluster.errors import UserError
from cluster.machine.resources import Resources
from jobs.forecast.gpu_job import CONTEXT_GB, USABLE
from jobs.forecast.lengths import Lengths
from jobs.forecast.passes import uses_math_kernel
from jobs.kind import Fit
from jobs.training.align_params import Params
from jobs.training.layout import Layout
from jobs.training.planning.correction import GB, MemoryFacts, corrected_by
from jobs.training.planning.footprint import Training, flops_per_row, footprint
from jobs.training.planning.placement import (
    described,
    gpu_of,
    have_gpus,
    of_most,
    usable_gb,
)
from jobs.training.planning.step_effort import offloaded_seconds, step_effort


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
    lengths: Lengths | None = field(default=None, repr=False)
    """Lengths of sequences; None where all are taken to be as long as the longest."""
    hours_factor: float = 1.0
    """Measured hours over expected ones, as a calibration has them."""
    memory_factor: float = 1.0
    """Measured memory over expected, likewise; where no done job corrects it."""

    def peak_gb(self, layout: Layout) -> float:
        """Return the most memory of a rank, in 10^9 bytes."""
        correction = corrected_by(
            self.done,
            on_gpu=layout.num_gpus > 0,
            dtype=self.training.dtype,
            attention=self.training.attention,
        )
        factor = self.memory_factor if layout.num_gpus and not self.done else 1.0
        return factor * correction.peak_gb(footprint(self.training, layout))

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
            f"{self.training.sequence_length} tokens{self._about(layout)}",
        )

    def _about(self, layout: Layout) -> str:
        """Say what rows there are, and which kernel attention falls to."""
        model, training = self.training.model, self.training
        slow = layout.num_gpus and uses_math_kernel(model, training.dtype, training.attention)
        kernel = ", attention in float32 by the math kernel" if slow else ""
        if self.lengths is None or self.lengths.whence == "at most":
            return f" (at most){kernel}"
        return f", {self.lengths.mean:.0f} in the mean ({self.lengths.whence}){kernel}"

    def resources(self, layout: Layout) -> Resources:
        """Return what the job asks of the machines in this layout."""
        given = with_layout(self.params, layout).resources()
        if layout.num_gpus:
            host_gb = round(footprint(self.training, layout).host / GB, 1)
            needed = round(self.peak_gb(layout) / USABLE + CONTEXT_GB, 1)
            return replace(given, gpu_memory_gb=needed, memory_gb=max(given.memory_gb, host_gb))
        return replace(given, memory_gb=max(given.memory_gb, round(self.peak_gb(layout), 1)))

    def hours(self, layout: Layout) -> float | None:
        """Return the wall time of the run in hours, without start-up; None where not known.

        On a processor only done jobs say how fast it is.
        """
        if self.num_steps is None:
            return None
        length = self._length(layout)
        measured = self._measured_rate(layout)
        if measured is not None:
            row = flops_per_row(replace(self.training, sequence_length=round(length)))
            again = 4 / 3 if layout.activation_checkpointing else 1.0
            rows = self.training.global_batch / layout.num_ranks
            step = rows * row * again / measured
        else:
            gpu = gpu_of(layout, self.machines)
            if gpu is None:
                return None
            effort = step_effort(self.training, layout, length)
            step = effort.seconds(gpu, self.training.dtype)
        step += offloaded_seconds(self.training, layout)
        return round(self.hours_factor * self.num_steps * step / 3600, 4)

    def _length(self, layout: Layout) -> float:
        """Return tokens of a sequence, padded to the longest of a pass, as far as data say."""
        if self.lengths is None:
            return float(self.training.sequence_length)
        return self.lengths.padded(layout.micro_batch * self.training.sequences_per_row)

    def _measured_rate(self, layout: Layout) -> float | None:
        """Return operations of one rank per second in done jobs of this dtype; None without any."""
        measured = [
            memory["flops_per_second"]
            for memory in self.done
            if memory["flops_per_second"]
            and bool(memory["layout"]["num_gpus"]) == (layout.num_gpus > 0)
            and memory["dtype"] == self.training.dtype
        ]
        return float(median(measured)) if measured else None


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
