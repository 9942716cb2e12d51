"""Accelerators by name: how much memory each has, and how fast it computes at most.

Names are whatever a driver, Ray or a user calls them: `NVIDIA H100 80GB HBM3`, `H100`, `A100-40G`.
"""

import re
from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True)
class Accelerator:
    """One product, as its maker describes it."""

    memory_gb: float
    """In 10^9 bytes; what drivers report is never less."""
    half_flops: float
    """16-bit multiplications and additions per second of its matrix units, without sparsity."""
    single_flops: float
    """The same in full 32-bit precision, without TF32."""


_KNOWN = {
    "P100": Accelerator(memory_gb=16, half_flops=21e12, single_flops=10.6e12),
    "V100": Accelerator(memory_gb=16, half_flops=125e12, single_flops=15.7e12),
    "T4": Accelerator(memory_gb=16, half_flops=65e12, single_flops=8.1e12),
    "A10": Accelerator(memory_gb=24, half_flops=125e12, single_flops=31.2e12),
    "A10G": Accelerator(memory_gb=24, half_flops=70e12, single_flops=35e12),
    "L4": Accelerator(memory_gb=24, half_flops=121e12, single_flops=30.3e12),
    "A40": Accelerator(memory_gb=48, half_flops=149.7e12, single_flops=37.4e12),
    "L40": Accelerator(memory_gb=48, half_flops=181e12, single_flops=90.5e12),
    "L40S": Accelerator(memory_gb=48, half_flops=362e12, single_flops=91.6e12),
    "A100": Accelerator(memory_gb=40, half_flops=312e12, single_flops=19.5e12),
    "H100": Accelerator(memory_gb=80, half_flops=989e12, single_flops=67e12),
    "H200": Accelerator(memory_gb=141, half_flops=989e12, single_flops=67e12),
    "H20": Accelerator(memory_gb=96, half_flops=148e12, single_flops=44e12),
    "GH200": Accelerator(memory_gb=96, half_flops=989e12, single_flops=67e12),
    "B200": Accelerator(memory_gb=180, half_flops=2250e12, single_flops=75e12),
    "GB200": Accelerator(memory_gb=186, half_flops=2500e12, single_flops=80e12),
}
"""By Ray's name. Of a product sold with different memories, the least, unless its name says more.
"""

_OF_THE_HOST = ("GH200",)
"""Products whose drivers name them with the memory of the processor beside them."""

_MEMORY = re.compile(r"(?<![0-9A-Z])([0-9]+) ?(?:GB|G)(?![0-9A-Z])")


def find_accelerator(name: str) -> Accelerator | None:
    """The product that a name means, with the memory the name gives; None when it is not known."""
    words = re.split(r"[^0-9A-Z]+", name.upper())
    known = next((word for word in words if word in _KNOWN), None)
    if known is None:
        return None
    said = None if known in _OF_THE_HOST else _said_gb(name)
    return _KNOWN[known] if said is None else replace(_KNOWN[known], memory_gb=said)


def gpu_memory_gb(name: str) -> float:
    """Memory of the accelerator with this name, in 10^9 bytes; 0 when it is not known."""
    found = find_accelerator(name)
    if found is not None:
        return found.memory_gb
    return _said_gb(name) or 0.0


def _said_gb(name: str) -> float | None:
    """The memory in a name; of a part of a GPU (`H100 80GB HBM3 MIG 1g.10gb`), the part's."""
    said = _MEMORY.findall(name.upper())
    return float(said[-1]) if said else None


def slowest_with(memory_gb: float) -> Accelerator | None:
    """The slowest product with this much memory or the next less; None below all of them."""
    fitting = [each for each in _KNOWN.values() if each.memory_gb <= memory_gb * 1.02]
    if not fitting:
        return None
    most = max(each.memory_gb for each in fitting)
    return min((each for each in fitting if each.memory_gb == most), key=lambda e: e.half_flops)


def known_names() -> list[str]:
    """Names that are understood, sorted."""
    return sorted(_KNOWN)
