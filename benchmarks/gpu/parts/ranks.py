"""Whether engines train the same over two GPUs, and how fast NCCL is between them."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.gpu.align_jobs import AlignJobs, in_ranks, joined
from benchmarks.gpu.machine import GB, Machine
from benchmarks.gpu.part import JOBS, Aim, Part, Row
from benchmarks.gpu.shapes import shapes

_LOSSES = "fp32 over two ranks, losses of five steps against one rank's, largest difference"
_ENGINES = ("ddp", "zero1", "zero2", "zero3", "fsdp2")


class Ranks(Part):
    """Whole jobs of a GPT-2 on two ranks of one machine, a GPU each."""

    ORDER = 100
    QUESTION = "Do engines train the same over two GPUs?"
    LEAST_GPUS = 2
    LEAST_GB = 8.0
    NEEDS = (*JOBS, "deepspeed")
    AIMS = {_LOSSES: Aim(most=1e-4)}

    def rows(self, machine: Machine) -> Iterator[Row]:
        """Yield the speed of a sum over ranks, then a row for each engine."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            # Ranks are forked in a rehearsal: before anything else has started threads here.
            size = 1 << (16 if machine.rehearses else 28)
            in_ranks(machine, 2, _all_reduce, str(folder / "sum"), size, machine.on_gpu)
            rate = json.loads((folder / "sum.json").read_text(encoding="utf-8"))
            yield Row(what="a sum of 1 GiB over two ranks", value=round(rate / GB, 2), unit="GB/s")
            jobs = AlignJobs(machine, shapes(machine)["gpt2"], folder / "root")
            alone = jobs.run("alone", dtype="float32")
            for engine in _ENGINES[3:] if machine.rehearses else _ENGINES:
                try:
                    ran = jobs.run_ranks(f"over-two-{engine}", 2, engine=engine, dtype="float32")
                except Exception as fault:
                    yield Row(what=f"{_LOSSES}: {engine}", value=None, holds=False,
                              aim=str(self.AIMS[_LOSSES]), note=str(fault)[:300])  # fmt: skip
                    continue
                pairs = zip(ran.losses, alone.losses, strict=True)
                yield self.row(_LOSSES, max(abs(a - b) for a, b in pairs), of=engine)


def _all_reduce(rank: int, num_ranks: int, store: str, size: int, on_gpu: bool) -> None:
    """Sum a tensor over all ranks; the first writes bytes per second, as NCCL's tests count."""
    import torch
    import torch.distributed as dist

    with joined(rank, num_ranks, f"{store}.store", on_gpu=on_gpu):
        tensor = torch.ones(size, device="cuda" if on_gpu else "cpu")
        seconds = []
        for _ in range(5):
            began = time.perf_counter()
            dist.all_reduce(tensor)
            if on_gpu:
                torch.cuda.synchronize()
            seconds.append(time.perf_counter() - began)
        if rank == 0:
            rate = tensor.nbytes * 2 * (num_ranks - 1) / num_ranks / min(seconds)
            Path(f"{store}.json").write_text(json.dumps(rate), encoding="utf-8")
