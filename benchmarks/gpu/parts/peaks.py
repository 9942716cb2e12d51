"""How fast the GPU is at most: bytes and products per second, as it shows them in seconds."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.gpu.machine import GB, Machine
from benchmarks.gpu.part import Part, Row

_PRODUCTS = {
    "bfloat16": ("bfloat16", "highest", "half_flops"),
    "TF32": ("float32", "high", "tf32_flops"),
    "float32": ("float32", "highest", "single_flops"),
    "float64": ("float64", "highest", "double_flops"),
}
"""Name of a row -> dtype of its factors, what float32 products may be rounded to, and the name of
the rate in a calibration: that of `Accelerator`, where it has one."""


class Peaks(Part):
    """Copies inside the memory and to the host; products of square matrices."""

    ORDER = 10
    QUESTION = "How fast is it at most?"
    LEAST_GB = 6.0

    def rows(self, machine: Machine) -> Iterator[Row]:
        """Yield bandwidths, then products by precision."""
        yield from _copies(machine, 1 << (22 if machine.rehearses else 30))
        for name, how in _PRODUCTS.items():
            yield _product(machine, name, *how)


def _copies(machine: Machine, size: int) -> Iterator[Row]:
    """Yield bytes per second inside the memory, and to the host."""
    import torch

    source = torch.ones(size, dtype=torch.uint8, device=machine.device)
    target = torch.empty_like(source)
    seconds = machine.seconds(lambda: target.copy_(source), rounds=10)
    yield _bandwidth(machine, "memory, read and written", 2 * size / seconds, "bytes_per_s")
    host = torch.empty(size, dtype=torch.uint8, pin_memory=machine.on_gpu)
    seconds = machine.seconds(lambda: host.copy_(source, non_blocking=True), rounds=3)
    yield _bandwidth(machine, "to pinned host memory", size / seconds, "host_bytes_per_s")


def _bandwidth(machine: Machine, what: str, rate: float, name: str) -> Row:
    return Row(what=what, value=round(rate / GB, 1), unit="GB/s",
               note=_share(machine, name, rate), facts={name: rate})  # fmt: skip


def _product(machine: Machine, name: str, dtype: str, precision: str, rate_name: str) -> Row:
    """Return the rate of products of square matrices that are as large as a model's."""
    import torch

    d = 256 if machine.rehearses else 8192
    factor = torch.randn(d, d, device=machine.device).to(getattr(torch, dtype))
    torch.set_float32_matmul_precision(precision)
    try:
        seconds = machine.seconds(lambda: factor @ factor, rounds=5, warm_up=2)
    finally:
        torch.set_float32_matmul_precision("highest")
    rate = 2 * d**3 / seconds
    return Row(
        what=f"products in {name}",
        value=round(rate / 1e12, 2),
        unit="TFLOP/s",
        note=_share(machine, rate_name, rate),
        facts={rate_name: rate},
    )


def _share(machine: Machine, name: str, rate: float) -> str:
    """Say how much of the maker's figure a rate is, where there is one."""
    sheet = getattr(machine.accelerator, name, None) if machine.on_gpu else None
    return f"{rate / sheet:.0%} of its maker's figure" if sheet else ""
