"""Whether sums of rows are exact on the GPU, and how fast they are made and leave it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.gpu.machine import GB, Machine
from benchmarks.gpu.part import Aim, Part, Row
from benchmarks.gpu.shapes import tiny
from benchmarks.gpu.units import small_workload
from benchmarks.moments import massive_rows, reduced, relative_errors, two_pass
from benchmarks.workload import WORKLOADS, random_plan
from jobs.extraction.reduction import Reduction
from jobs.extraction.writer_thread import WriterThread
from jobs.taps.row_views import row_views
from jobs.tokens.batches import pad_batch
from jobs.tokens.positions import find_positions

_MEAN = "mean, against fp64 on the processor, relative error"
_SCATTER = "scatter, against fp64 on the processor, relative error"
_BYTES = "what leaves the GPU is what stood there"


class Moments(Part):
    """Rows with a mean far above their spread, and the products of a 7 B's width."""

    ORDER = 30
    QUESTION = "Are moments exact, and what do they cost?"
    LEAST_GB = 8.0
    AIMS = {_MEAN: Aim(most=1e-6), _SCATTER: Aim(most=1e-6), _BYTES: Aim()}

    def rows(self, machine: Machine) -> Iterator[Row]:
        """Yield errors, the time of products, and the speed of copies to the host."""
        import torch

        torch.set_float32_matmul_precision("highest")
        plan = random_plan(small_workload(tiny("gpt2")) if machine.rehearses else WORKLOADS["gpt2"])
        rows = massive_rows(len(plan.token_ids))
        moments = reduced(plan, rows, np.arange(len(plan.prompts)), 16384, machine.device)
        mean, scatter = relative_errors(moments, two_pass(rows))
        yield self.row(_MEAN, mean, note=f"{len(rows):,} rows, d = {rows.shape[1]}")
        yield self.row(_SCATTER, scatter)
        yield from _products(machine)
        yield from self._copies(machine)

    def _copies(self, machine: Machine) -> Iterator[Row]:
        """Yield how fast one large tensor and many small ones leave, and whether they arrive."""
        import torch

        large = torch.rand(1 << (16 if machine.rehearses else 28), device=machine.device)
        taken, waited, arrived = [], [], None
        for _ in range(2):
            with torch.inference_mode(), WriterThread(torch.device(machine.device)) as thread:
                machine.synchronise()
                began = time.perf_counter()
                (arrived,) = _leave(thread, [large])
                waited.append(time.perf_counter() - began)
                thread.wait()
                taken.append(time.perf_counter() - began)
        yield Row(
            what="one large tensor to host memory",
            value=round(large.nbytes / taken[1] / GB, 2),
            unit="GB/s",
            note=f"its producer stood still for {waited[1] / taken[1]:.0%}",
        )
        yield self.row(_BYTES, bool((arrived == large.cpu()).all()))
        small = [torch.ones(57, 64 if machine.rehearses else 4096, device=machine.device)
                 for _ in range(48)]  # fmt: skip
        with torch.inference_mode(), WriterThread(torch.device(machine.device)) as thread:
            machine.synchronise()
            began = time.perf_counter()
            _leave(thread, small)
            thread.wait()
            seconds = time.perf_counter() - began
        yield Row(what="48 small tensors to host memory", value=round(seconds * 1e3, 2), unit="ms")


def _leave(thread: WriterThread, tensors: Sequence[Any]) -> list[Any]:
    """Hand tensors over for one task of the writer; return what they are on the host then."""
    copies = thread.copies()
    on_host = [copies.add(tensor) for tensor in tensors]
    thread.submit(lambda: None, sum(tensor.nbytes for tensor in on_host), copies)
    return on_host


def _products(machine: Machine) -> Iterator[Row]:
    """Yield the time of one batch's d x d moments, and of the same product in fp64."""
    import torch

    d = 64 if machine.rehearses else 4096
    workload = small_workload(tiny("gpt2"))
    plan = random_plan(workload if machine.rehearses else WORKLOADS["mistral-7b"])
    members = np.arange(8 if machine.rehearses else 56)
    (wanted,) = find_positions(plan, ("all",), 0)
    (view,) = row_views(plan, pad_batch(plan, members, [wanted]), [wanted], machine.device)
    rows = torch.randn(len(view.tokens), d, device=machine.device)
    norms = rows.square().sum(dim=1).sqrt()
    sums = {dense: Reduction(dense=dense, neurons=False) for dense in (True, False)}
    seconds = {
        dense: machine.seconds(lambda: sums[dense].add(view, rows, (norms, norms)))  # noqa: B023
        for dense in sums
    }
    yield Row(
        what="d x d moments of a batch, one place",
        value=round((seconds[True] - seconds[False]) * 1e3, 2),
        unit="ms",
        note=f"{len(rows):,} rows of {d}; its other sums {seconds[False] * 1e3:.2f} ms",
    )
    wide = rows.double()
    exact = machine.seconds(lambda: wide.T @ wide)
    yield Row(what="… one fp64 product", value=round(exact * 1e3, 2), unit="ms")
