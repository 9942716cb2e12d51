"""Accelerators by name: how much memory each has, and how fast it computes at most.

Any name that a driver, Ray or a user gives is understood: `NVIDIA H100 80GB HBM3`, `H100`,
`A100-40G`.
"""

import re
from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True)
class Accelerator:
    """One product, as its maker describes it."""

    memory_gb: float
    """Memory in 10^9 bytes; drivers never report less."""
    half_flops: float
    """Operations per second of its matrix units in 16 bits, without sparsity."""
    single_flops: float
    """Operations per second in full 32-bit precision, without TF32."""


_PRODUCTS = {
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
"""Products by Ray's name; one sold with several memories has the least, unless a name says more."""

_NAMED_WITH_HOST_MEMORY = ("GH200",)
"""Products whose drivers name them with the memory of the processor beside them."""

_MEMORY = re.compile(r"(?<![0-9A-Z])([0-9]+) ?(?:GB|G)(?![0-9A-Z])")


def find_accelerator(name: str) -> Accelerator | None:
    """Return the product that a name means, with the memory the name gives; None if unknown."""
    words = re.split(r"[^0-9A-Z]+", name.upper())
    product = next((word for word in words if word in _PRODUCTS), None)
    if product is None:
        return None
    memory_gb = None if product in _NAMED_WITH_HOST_MEMORY else _gb_in_name(name)
    accelerator = _PRODUCTS[product]
    return accelerator if memory_gb is None else replace(accelerator, memory_gb=memory_gb)


def gpu_memory_gb(name: str) -> float:
    """Return the memory of the accelerator with this name, in 10^9 bytes; 0 if unknown."""
    product = find_accelerator(name)
    return product.memory_gb if product is not None else _gb_in_name(name) or 0.0


def _gb_in_name(name: str) -> float | None:
    """Return the memory in a name, the last of several (`H100 80GB HBM3 MIG 1g.10gb` has 10)."""
    sizes = _MEMORY.findall(name.upper())
    return float(sizes[-1]) if sizes else None


def slowest_with(memory_gb: float) -> Accelerator | None:
    """Return the slowest product with this much memory or the next less; None below all of them."""
    fitting = [product for product in _PRODUCTS.values() if product.memory_gb <= memory_gb * 1.02]
    if not fitting:
        return None
    most = max(product.memory_gb for product in fitting)
    largest = [product for product in fitting if product.memory_gb == most]
    return min(largest, key=lambda product: product.half_flops)


def product_names() -> list[str]:
    """Return the names of all products, sorted."""
    return sorted(_PRODUCTS)
