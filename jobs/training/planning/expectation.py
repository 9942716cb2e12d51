"""`Expected`: what one training job is expected to take in each layout: memory, machines, hours."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import median

from pydantic import ValidationError

from cluster.errors import UserError
from cluster.machine.resources import Resources
from jobs.forecast.effort import DISK_BYTES_PER_S
from jobs.forecast.gpu_job import CONTEXT_GB, LOAD_BYTES_PER_S, START_S, USABLE
from jobs.forecast.lengths import Lengths
from jobs.forecast.passes import uses_math_kernel
from jobs.kind import Calibration, Fit
from jobs.training.align_params import Params
from jobs.training.layout import Layout
from jobs.training.planning.correction import GB, MemoryFacts, corrected_by, memory_facts
from jobs.training.planning.footprint import HALF, SINGLE, Training, flops_per_row, footprint
from jobs.training.planning.placement import (
    described,
    gpu_of,
    have_gpus,
    of_most,
    usable_gb,
)
from jobs.training.planning.snapshot_costs import share_of_looks
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
    calibration: Calibration = Calibration()
    """What was measured on this accelerator."""

    def peak_gb(self, layout: Layout) -> float:
        """Return the most memory of a rank, in 10^9 bytes."""
        correction = corrected_by(
            self.done or memory_facts(self.calibration.training),
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
            f"{self.training.sequence_length} tokens{self._about(layout)}{self._slow_disk(layout)}",
        )

    def _about(self, layout: Layout) -> str:
        """Say what rows there are, and which kernel attention falls to."""
        model, training = self.training.model, self.training
        slow = layout.num_gpus and uses_math_kernel(model, training.dtype, training.attention)
        kernel = ", attention in float32 by the math kernel" if slow else ""
        if self.lengths is None or self.lengths.whence == "at most":
            return f" (at most){kernel}"
        return f", {self.lengths.mean:.0f} in the mean ({self.lengths.whence}){kernel}"

    def _slow_disk(self, layout: Layout) -> str:
        """Say from what speed of the disk on checkpoints keep the steps waiting, if it is high.

        One is written while training goes on, and the next one waits for it.
        """
        every, step_s = self.params.checkpoint_every, self.step_seconds(layout)
        if not layout.num_gpus or not every or not step_s or every >= (self.num_steps or 0):
            return ""
        copies = 3 if self.training.optimizer == "adamw" else 2
        size = copies * SINGLE * self.training.num_trained
        needed = size / (every * step_s)
        if needed <= DISK_BYTES_PER_S:
            return ""
        return (
            f", checkpoints of {size / GB:.0f} GB every {every} steps keep it waiting on a disk "
            f"slower than {needed / GB:.1f} GB/s (checkpoint_every)"
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
        """Return the wall time of the run in hours, none of it waiting for checkpoints.

        None where not known. On a processor it is the steps alone, and only done jobs say how fast
        it is.
        """
        step_s = self.step_seconds(layout)
        if self.num_steps is None or step_s is None:
            return None
        steps_s = self.num_steps * step_s * (1 + share_of_looks(self.params))
        if not layout.num_gpus:
            return round(steps_s / 3600, 4)
        written = SINGLE * self.training.model.num_parameters / DISK_BYTES_PER_S
        loaded = HALF * self.training.model.num_parameters / LOAD_BYTES_PER_S
        return round((START_S + loaded + steps_s + written) / 3600, 4)

    def step_seconds(self, layout: Layout) -> float | None:
        """Return the wall time of one optimizer step; None where not known."""
        measured = self._measured_seconds(layout)
        if measured is not None:
            return measured + offloaded_seconds(self.training, layout)
        gpu = gpu_of(layout, self.machines)
        if gpu is None:
            return None
        effort = step_effort(self.training, layout, self._length(layout))
        seconds = effort.seconds(self.calibration.of(gpu), self.training.dtype)
        return seconds + offloaded_seconds(self.training, layout)

    def _length(self, layout: Layout) -> float:
        """Return tokens of a sequence, padded to the longest of a pass, as far as data say."""
        if self.lengths is None:
            return float(self.training.sequence_length)
        return self.lengths.padded(layout.micro_batch * self.training.sequences_per_row)

    def _measured_seconds(self, layout: Layout) -> float | None:
        """Return a step at the rate of done jobs of this dtype; None without any.

        Their rate counts all their rows as long as their longest: so are this job's.
        """
        rows = self.training.global_batch / layout.num_ranks
        again = 4 / 3 if layout.activation_checkpointing else 1.0
        measured = [
            rows * again * self._flops_at(memory) / memory["flops_per_second"]
            for memory in self.done
            if memory["flops_per_second"]
            and bool(memory["layout"]["num_gpus"]) == (layout.num_gpus > 0)
            and memory["dtype"] == self.training.dtype
        ]
        return float(median(measured)) if measured else None

    def _flops_at(self, memory: MemoryFacts) -> float:
        own = self.training.sequence_length
        length = min(memory.get("sequence_length", own), own)
        return flops_per_row(replace(self.training, sequence_length=length))


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
