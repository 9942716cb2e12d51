"""DPO of a GPT-2 Medium: ours beside the paper's plain recipe and beside a plain TRL script."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.gpu.machine import Machine
from benchmarks.gpu.part import TRAINER, Aim, Part, Row
from benchmarks.gpu.shapes import shapes
from benchmarks.gpu.training_steps import (
    Seen,
    params_for,
    run_bare_trl,
    run_ours,
    run_papers_recipe,
)

_PAPER = (
    "GPT-2 Medium, bf16: pairs per second over the paper's recipe (TF32, resident fp16 reference)"  # noqa: E501
)
_CURVE = "… largest difference of the two loss curves"
_TRL = "… over a plain TRL script in bf16, its reference scored beforehand"
_BATCH = 4


class Training(Part):
    """Four pairs a step of 256 tokens a side, at a time."""

    ORDER = 80
    QUESTION = "How fast does it train GPT-2 Medium?"
    LEAST_GB = 16.0
    NEEDS = TRAINER
    AIMS = {_PAPER: Aim(least=2.0), _CURVE: Aim(most=0.02), _TRL: Aim(least=0.97)}

    def rows(self, machine: Machine) -> Iterator[Row]:
        """Yield speeds, then the ratios."""
        fields = shapes(machine)["gpt2-medium"]
        steps, length = (3, 32) if machine.rehearses else (30, 256)
        params = params_for(machine, dtype="bfloat16", global_batch=_BATCH, micro_batch=_BATCH)
        ours = run_ours(machine, fields, params, steps=steps, length=length)
        yield _speed("ours, bf16", ours)
        paper = run_papers_recipe(machine, fields, steps=steps, length=length)
        yield _speed("the paper's recipe", paper)
        plain = run_bare_trl(machine, fields, steps=steps, length=length, bf16=True)
        yield _speed("a plain TRL script, bf16", plain)
        yield self.row(_PAPER, round(paper.step_s / ours.step_s, 3), "times")
        apart = max(abs(a - b) for a, b in zip(ours.losses, paper.losses, strict=True))
        yield self.row(_CURVE, apart, note=f"from {ours.losses[0]:.4f} to {ours.losses[-1]:.4f}")
        yield self.row(_TRL, round(plain.step_s / ours.step_s, 3), "times")


def _speed(what: str, seen: Seen) -> Row:
    return Row(what=what, value=round(_BATCH / seen.step_s, 2), unit="pairs/s",
               note=f"{seen.step_s * 1e3:.1f} ms a step, {seen.peak_gb:.1f} GB")  # fmt: skip
