"""What the plan predicts of training, against what it takes: memory and hours of five shapes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from benchmarks.gpu.machine import GB, Machine
from benchmarks.gpu.part import TRAINER, Aim, Part, Row
from benchmarks.gpu.shapes import shapes
from benchmarks.gpu.training_steps import Seen, or_does_not_fit, params_for, run_ours
from cluster.machine.resources import Resources, this_machine
from jobs.models.sizes import ModelSizes
from jobs.training.align_params import Params
from jobs.training.planning.correction import MemoryFacts, corrected_by
from jobs.training.planning.expectation import Expected
from jobs.training.planning.footprint import footprint
from jobs.training.planning.training_fit import training_with

_PEAKS = "peaks of the shapes after two calibrations, largest relative error"
_HOURS = "hours of all shapes as planned before any job ran, largest relative error"


class Memory(Part):
    """Two hundred tokens to a thousand a side, four pairs a step in twos, bf16."""

    ORDER = 70
    QUESTION = "Does training take what the plan says?"
    LEAST_GB = 12.0
    NEEDS = TRAINER
    AIMS = {_PEAKS: Aim(most=0.10), _HOURS: Aim(most=0.25)}

    def rows(self, machine: Machine) -> Iterator[Row]:
        """Yield peak and hours of each shape, from small to large; what does not fit says so."""
        done: list[MemoryFacts] = []
        peaks, hours = [], []
        for name, fields in [*shapes(machine).items()][:: 2 if machine.rehearses else 1]:
            params = params_for(
                machine, dtype="bfloat16", micro_batch=2,
                activation_checkpointing=name == "mistral-7b",
            )  # fmt: skip
            steps, length = (2, 32) if machine.rehearses else (4, 1024)
            seen, why = or_does_not_fit(
                machine, partial(run_ours, machine, fields, params, steps=steps, length=length)
            )
            if seen is None or seen.memory is None:
                yield Row(what=f"{name}, peak", value=None, note=why)
                continue
            first, corrected = _peaks_gb(params, fields, length, done)
            if len(done) >= 2:
                peaks.append(abs(corrected / (seen.memory["measured_gb"] or 1.0) - 1))
            yield _peak_row(name, first, corrected, len(done), seen)
            planned = _step_s(machine, params, fields, length, ())
            if planned:
                hours.append(abs(planned / seen.step_s - 1))
            yield _step_row(name, planned, _step_s(machine, params, fields, length, done), seen)
            if len(done) < 2:
                done.append(seen.memory)
        yield self.row(_PEAKS, max(peaks, default=None), note=f"of {len(peaks)} shapes")
        yield self.row(_HOURS, max(hours, default=None), note=f"of {len(hours)} shapes")


def _peaks_gb(
    params: Params, fields: Mapping[str, Any], length: int, done: Sequence[MemoryFacts]
) -> tuple[float, float]:
    """Return the peak that the closed form gives, and that corrected by done runs, in GB."""
    found = footprint(training_with(params, ModelSizes.of(fields), length), params.layout())
    on_gpu = params.layout().num_gpus > 0
    correction = corrected_by(done, on_gpu=on_gpu, dtype=params.dtype, attention=params.attention)
    return found.peak / GB, correction.peak_gb(found)


def _step_s(
    machine: Machine,
    params: Params,
    fields: Mapping[str, Any],
    length: int,
    done: Sequence[MemoryFacts],
) -> float | None:
    """Return the planned seconds of a step; None where the plan does not know."""
    here = Resources(num_cpus=2) if machine.rehearses else this_machine()
    expected = Expected(
        params=params,
        training=training_with(params, ModelSizes.of(fields), length),
        num_steps=1,
        machines=[here],
        done=done,
    )
    return expected.step_seconds(params.layout())


def _peak_row(name: str, first: float, corrected: float, num_done: int, seen: Seen) -> Row:
    assert seen.memory is not None
    return Row(
        what=f"{name}, peak",
        value=seen.memory["measured_gb"],
        unit="GB",
        note=f"closed form {first:.2f} GB, corrected by {num_done} smaller {corrected:.2f} GB",
        facts={**seen.memory, "shape": name, "step_s": seen.step_s},
    )


def _step_row(name: str, planned: float | None, calibrated: float | None, seen: Seen) -> Row:
    said = ["not known" if step is None else f"{step:.3f} s" for step in (planned, calibrated)]
    return Row(
        what=f"{name}, a step",
        value=round(seen.step_s, 4),
        unit="s",
        note=f"planned {said[0]}, from the rate of smaller ones {said[1]}",
    )
