"""Paired extraction beside the two bare forward passes that it cannot do without."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from benchmarks.extraction import CASES, Case, Setting, measure
from benchmarks.gpu.machine import Machine
from benchmarks.gpu.part import Aim, Part, Row
from benchmarks.gpu.shapes import tiny
from benchmarks.workload import WORKLOADS, Workload, random_pair, random_plan

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
            found = measure(setting, case, rounds=1)
            yield self.row(
                name,
                round(found.ratio, 3),
                of=of,
                note=f"bare {found.bare:,.0f}, paired {found.paired:,.0f} tokens/s",
            )
