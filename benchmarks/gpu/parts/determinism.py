"""Whether a training run repeats itself on this GPU: by default, and where that is asked for."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.gpu.align_jobs import AlignJobs
from benchmarks.gpu.machine import Machine
from benchmarks.gpu.part import Aim, Part, Row
from benchmarks.gpu.shapes import shapes

_CLOSE = "largest difference of losses, twice by default"


class Determinism(Part):
    """A bf16 run of twelve steps, twice."""

    ORDER = 54
    QUESTION = "Does a run repeat itself?"
    LEAST_GB = 8.0
    NEEDS = ("trl", "datasets", "accelerate", "peft")
    AIMS = {_CLOSE: Aim(most=5e-3)}

    def rows(self, machine: Machine) -> Iterator[Row]:
        """Yield how far two runs are apart."""
        steps = 3 if machine.rehearses else 12
        with tempfile.TemporaryDirectory() as folder:
            jobs = AlignJobs(machine, shapes(machine)["gpt2"], Path(folder))
            for attention in ("sdpa",) if machine.rehearses else ("sdpa", "eager"):
                how = {"steps": steps, "dtype": "bfloat16", "attention": attention}
                first, second = (jobs.run(f"{attention}-{turn}", **how) for turn in range(2))
                pairs = zip(first.losses, second.losses, strict=True)
                yield self.row(_CLOSE, max(abs(a - b) for a, b in pairs), of=attention)
                yield Row(what=f"equal weights, twice by default: {attention}",
                          value=first.weights == second.weights)  # fmt: skip
