"""Paired extraction beside the two bare forward passes that it cannot do without."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from benchmarks.extraction import CASES, Case, Setting, measure
from benchmarks.gpu.machine import Machine
from benchmarks.gpu.part import Aim, Part, Row
from benchmarks.gpu.shapes import tiny
from benchmarks.workload import WORKLOADS, Workload, random_pair, random_plan
from cluster.machine.resources import Resources, this_machine
from jobs.extraction.extract_forecast import forecast_extraction
from jobs.extraction.extract_params import Params as ExtractParams
from jobs.forecast.gpu_job import LOAD_BYTES_PER_S, START_S
from jobs.forecast.passes import weight_bytes
from jobs.kind import Forecast, Situation, Upstream
from jobs.models.sizes import ModelSizes
from jobs.text.planned import Planned
from jobs.text.prompt_lines import plain_line

_LAST = "7 B, bf16, 3 sites x 8 depths, last token: over two bare stopped forwards"
_ALL = "… d x d moments at all positions too"
_MEDIUM = "GPT-2 Medium, 3 sites x 8 depths, last token"


class Extraction(Part):
    """1,024 prompts of 64 to 512 tokens in batches of 16,384, units written to disk."""

    ORDER = 60
    QUESTION = "What does an extraction cost beside its forward passes?"
    LEAST_GB = 6.0
    AIMS = {_LAST: Aim(least=0.95), _ALL: Aim(least=0.80), _MEDIUM: Aim(least=0.80)}

    def rows(self, machine: Machine) -> Iterator[Row]:
        """Yield GPT-2 Medium in both dtypes, then the 7 B where it fits."""
        last, everywhere = CASES
        medium = WORKLOADS["gpt2-medium"]
        for dtype in ("float32", "bfloat16"):
            yield from self._workload(machine, replace(medium, dtype=dtype), {_MEDIUM: last}, dtype)
        if not machine.rehearses and machine.free_gb < 60:
            for name in (_LAST, _ALL):
                yield self.row(name, None, note=f"needs 60 GB, {machine.free_gb:.1f} are free")
            return
        large = WORKLOADS["mistral-7b"]
        yield from self._workload(machine, large, {_LAST: last, _ALL: everywhere})

    def _workload(
        self, machine: Machine, workload: Workload, cases: dict[str, Case], of: str = ""
    ) -> Iterator[Row]:
        if machine.rehearses:
            fields = tiny(workload.fields["family"], layers=8)
            workload = replace(workload, fields=fields, num_prompts=16, lengths=(8, 24))
        machine.free_memory()
        models = random_pair(workload, machine.device)
        setting = Setting(
            workload=workload, models=models, plan=random_plan(workload), device=machine.device
        )
        for name, case in cases.items():
            machine.free_memory()
            found = measure(setting, case, rounds=1)
            peak_gb = machine.peak_gb()
            yield self.row(
                name,
                round(found.ratio, 3),
                of=of,
                note=f"bare {found.bare:,.0f}, paired {found.paired:,.0f} tokens/s",
            )
            seconds = len(setting.plan.token_ids) / found.paired
            yield _planned_row(machine, setting, case, seconds, peak_gb)


def _planned_row(
    machine: Machine, setting: Setting, case: Case, seconds: float, peak_gb: float
) -> Row:
    """Return time and memory beside what the plan expects of such a job on this machine."""
    forecast, start_s = forecast_of(machine, setting, case)
    planned_s = None if forecast.hours is None else forecast.hours * 3600 - start_s
    ratios = {} if planned_s is None else {"hours": seconds / planned_s}
    if machine.on_gpu:
        ratios["memory"] = peak_gb / forecast.peak_gb
    said = "not known" if planned_s is None else f"{planned_s:.1f} s"
    return Row(
        what="… all its units",
        value=round(seconds, 2),
        unit="s",
        note=f"planned {said}; {peak_gb:.1f} GB, planned {forecast.peak_gb:.1f} GB",
        facts={"measured_over_planned": ratios} if ratios else None,
    )


def forecast_of(machine: Machine, setting: Setting, case: Case) -> tuple[Forecast, float]:
    """Return (what the plan expects of an extraction job, seconds of it before the first unit)."""
    workload = setting.workload
    lengths = np.diff(setting.plan.offsets)
    # Without a tokenizer at hand the plan takes three bytes for a token.
    lines = [
        plain_line(number, 0, "abc" * int(length), "") for number, length in enumerate(lengths)
    ]
    base = Upstream(
        kind="pretrained", params={"source": "random-weights"}, files={}, inputs={},
        facts={"model": {"config": dict(workload.fields)}},
    )  # fmt: skip
    params = ExtractParams(
        sites=case.sites, depths=case.depths, positions=case.policies, num_gpus=1,
        moments_positions=case.moments, token_budget=workload.token_budget, noise_floor_prompts=0,
        dtype=workload.dtype,
    )  # fmt: skip
    here = Resources(num_gpus=1, gpu_memory_gb=80) if machine.rehearses else this_machine()
    forecast = forecast_extraction(
        params,
        Situation(inputs={"base": base}, machines=[here]),
        Planned(params=str(workload), read=lambda: lines),
    )
    assert forecast is not None, "the plan does not know the model"
    loaded = 2 * weight_bytes(ModelSizes.of(workload.fields), workload.dtype)
    return forecast, START_S + loaded / LOAD_BYTES_PER_S
