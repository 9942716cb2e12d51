"""A step of a 7 B shape: the share of the GPU's peak that it reaches, optimizer included."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from benchmarks.gpu.machine import Machine
from benchmarks.gpu.part import TRAINER, Aim, Part, Row
from benchmarks.gpu.shapes import shapes
from benchmarks.gpu.training_steps import or_does_not_fit, params_for, run_ours
from jobs.models.sizes import ModelSizes

_BEST = "full DPO step of a 7 B, 2 x 1,024 tokens a pair, bf16, reference precomputed: best MFU"
_LAYOUTS = (
    ("full", None, 8, 1, False),
    ("full", None, 16, 2, False),
    ("full", None, 8, 1, True),
    ("full", None, 16, 4, True),
    ("LoRA of rank 16", {"rank": 16, "alpha": 32}, 16, 2, False),
    ("LoRA of rank 16", {"rank": 16, "alpha": 32}, 16, 4, True),
)
"""What is trained, adapter, pairs a step, pairs at a time, activations computed again."""


class LargeStep(Part):
    """MFU: 6 operations per weight and token, over the maker's figure in 16 bits."""

    ORDER = 90
    QUESTION = "How much of its peak does a step of a 7 B use?"
    LEAST_GB = 70.0
    NEEDS = TRAINER
    AIMS = {_BEST: Aim(least=0.40)}

    def rows(self, machine: Machine) -> Iterator[Row]:
        """Yield a row for each layout; one that does not fit says so, and the next is tried."""
        fields = shapes(machine)["mistral-7b"]
        steps, length = (2, 32) if machine.rehearses else (3, 1024)
        num_parameters = ModelSizes.of(fields).num_parameters
        product, best = machine.accelerator, None
        for what, lora, batch, micro, again in _LAYOUTS[:: 5 if machine.rehearses else 1]:
            if machine.rehearses:
                batch, micro = 2, 1
            params = params_for(
                machine, dtype="bfloat16", activation_checkpointing=again, global_batch=batch,
                micro_batch=micro, lora=lora,
            )  # fmt: skip
            name = f"{what}, {micro} of {batch} pairs at a time"
            name += ", activations computed again" if again else ""
            seen, why = or_does_not_fit(
                machine, partial(run_ours, machine, fields, params, steps=steps, length=length)
            )
            if seen is None:
                yield Row(what=name, value=None, note=why)
                continue
            tokens_per_s = batch * 2 * length / seen.step_s
            mfu = 6 * num_parameters * tokens_per_s / product.half_flops if product else None
            if mfu is not None and lora is None:
                best = max(best or 0.0, mfu)
            yield Row(
                what=name,
                value=None if mfu is None else round(mfu, 3),
                unit="MFU",
                note=f"{tokens_per_s:,.0f} tokens/s, {seen.step_s:.2f} s a step, "
                f"{seen.peak_gb:.1f} GB",
            )
        note = "" if product else f"the peak of {machine.name} is not known"
        note = note or ("" if best else "no full layout fits this GPU")
        yield self.row(_BEST, None if best is None else round(best, 3), note=note)
