"""Whether a training run repeats itself on this GPU: by default, and where that is asked for."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.gpu.align_jobs import AlignJobs, Ran
from benchmarks.gpu.machine import Machine
from benchmarks.gpu.part import JOBS, Aim, Part, Row
from benchmarks.gpu.shapes import shapes

_CLOSE = "largest difference of losses, twice by default"
_EQUAL = "equal weights to the bit, twice as `deterministic` asks"


class Determinism(Part):
    """A bf16 run of twelve steps, twice by default and twice as `deterministic` asks."""

    ORDER = 54
    QUESTION = "Does a run repeat itself?"
    LEAST_GB = 8.0
    NEEDS = JOBS
    AIMS = {_CLOSE: Aim(most=5e-3), _EQUAL: Aim()}

    def rows(self, machine: Machine) -> Iterator[Row]:
        """Yield how far two runs are apart, and what it costs to have them equal."""
        steps = 3 if machine.rehearses else 12
        with tempfile.TemporaryDirectory() as folder:
            jobs = AlignJobs(machine, shapes(machine)["gpt2"], Path(folder))
            for attention in ("sdpa",) if machine.rehearses else ("sdpa", "eager"):
                how = {"steps": steps, "dtype": "bfloat16", "attention": attention}
                first, second = _twice(jobs, **how)
                pairs = zip(first.losses, second.losses, strict=True)
                yield self.row(_CLOSE, max(abs(a - b) for a, b in pairs), of=attention)
                yield Row(what=f"equal weights, twice by default: {attention}",
                          value=first.weights == second.weights)  # fmt: skip
                one, other = _twice(jobs, deterministic=True, **how)
                slower = _rate(first) / _rate(one)
                yield self.row(
                    _EQUAL, one.weights == other.weights, of=attention,
                    note=f"{slower:.2f} times the time of a step",
                )  # fmt: skip


def _twice(jobs: AlignJobs, **how: object) -> tuple[Ran, Ran]:
    name = "-".join(map(str, how.values()))
    return jobs.run(f"{name}-first", **how), jobs.run(f"{name}-second", **how)


def _rate(ran: Ran) -> float:
    """Return operations per second of a run."""
    return float(ran.facts["memory"]["flops_per_second"])
