"""Whether every engine trains the same on one GPU, one after another in one process."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.gpu.align_jobs import AlignJobs
from benchmarks.gpu.machine import Machine
from benchmarks.gpu.part import JOBS, Aim, Part, Row
from benchmarks.gpu.shapes import shapes

_FP32 = "fp32, losses of five steps against ddp's, largest difference"
_BF16 = "bf16, losses of five steps against ddp's, largest difference"
_MOVED = "ddp, how far five steps move the loss"
_LAYOUTS = (
    ("zero1", False), ("zero2", False), ("zero2", True), ("zero3", False), ("zero3", True),
)  # fmt: skip

_REHEARSED = {"float32": _LAYOUTS[::4], "bfloat16": _LAYOUTS[1:2]}


class Engines(Part):
    """Whole jobs of a GPT-2: ddp first, then each stage of ZeRO, with and without host memory."""

    ORDER = 50
    QUESTION = "Do all engines train the same?"
    LEAST_GB = 8.0
    NEEDS = (*JOBS, "deepspeed")
    AIMS = {_MOVED: Aim(least=0.01), _FP32: Aim(most=1e-4), _BF16: Aim(most=5e-3)}

    def rows(self, machine: Machine) -> Iterator[Row]:
        """Yield a row for each layout and dtype; one that fails says how, and the next is tried."""
        with tempfile.TemporaryDirectory() as folder:
            jobs = AlignJobs(machine, shapes(machine)["gpt2"], Path(folder))
            for dtype, aim in (("float32", _FP32), ("bfloat16", _BF16)):
                plain = jobs.run(f"ddp-{dtype}", dtype=dtype)
                moved = abs(plain.losses[-1] - plain.losses[0])
                yield self.row(_MOVED, moved, of=dtype, note="or equal losses would say nothing")
                for engine, offload in _REHEARSED[dtype] if machine.rehearses else _LAYOUTS:
                    of = f"{engine}, offload" if offload else engine
                    began = time.perf_counter()
                    try:
                        ran = jobs.run(f"{of}-{dtype}", dtype=dtype, engine=engine, offload=offload)
                    except Exception as fault:
                        yield Row(what=f"{aim}: {of}", value=None, aim=str(self.AIMS[aim]),
                                  holds=False, note=_first_line(fault))  # fmt: skip
                        continue
                    pairs = zip(ran.losses, plain.losses, strict=True)
                    apart = max(abs(ours - theirs) for ours, theirs in pairs)
                    seconds = time.perf_counter() - began
                    yield self.row(aim, apart, of=of, note=f"whole job {seconds:.1f} s")


def _first_line(fault: Exception) -> str:
    return f"{type(fault).__name__}: {str(fault).strip().partition(chr(10))[0]}"[:300]
