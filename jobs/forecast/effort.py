"""`Effort`: what a GPU has to compute and to move, and how long one of a product takes for it.

A roofline (Williams et al. 2009): of operations and of the bytes beside them the slower decides;
kernels that only move bytes come on top, and no pass is faster than its kernels can be launched.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from cluster.machine.accelerators import Accelerator

MATRIX_SHARE = 0.7
"""Of a product's peak that large matrix products reach; assumed, corrected by a calibration."""
MEMORY_SHARE = 0.9
"""Of its bandwidth that kernels reach which only move bytes; assumed likewise."""
LINK_SHARE = 0.7
"""Of the links between GPUs that collectives reach; assumed likewise."""
KERNEL_S = 8e-6
"""Seconds in which one process launches a kernel from Python; assumed likewise."""
DISK_BYTES_PER_S = 1e9
"""What a worker's disk takes; it writes beside the GPU, so the slower of both decides."""


@dataclass(frozen=True, kw_only=True)
class Effort:
    """What one GPU has to do."""

    flops: float = 0.0
    """Operations of matrix products in the compute dtype."""
    single_flops: float = 0.0
    """Operations of matrix products in float32, whatever the compute dtype."""
    operand_bytes: float = 0.0
    """Bytes of the weights and caches that these products read."""
    moved_bytes: float = 0.0
    """Bytes that all other kernels read and write."""
    kernels: float = 0.0
    """Kernels launched."""
    sent_bytes: float = 0.0
    """Bytes sent to other GPUs, or over PCIe."""
    stored_bytes: float = 0.0
    """Bytes written to disk."""

    def __add__(self, other: Effort) -> Effort:
        """Return both, one after the other."""
        return Effort(**{at.name: getattr(self, at.name) + getattr(other, at.name) for at in _ALL})

    def times(self, factor: float) -> Effort:
        """Return this so many times."""
        return Effort(**{at.name: getattr(self, at.name) * factor for at in _ALL})

    def seconds(self, gpu: Accelerator, dtype: str) -> float:
        """Return how long a GPU of this product takes, computing in a dtype."""
        bandwidth = gpu.bytes_per_s * _share(gpu, "bytes_per_s", MEMORY_SHARE)
        is_single = gpu.flops(dtype) == gpu.single_flops
        shared = _share(gpu, "single_flops" if is_single else "half_flops", MATRIX_SHARE)
        products = max(self.flops / (shared * gpu.flops(dtype)), self.operand_bytes / bandwidth)
        single = gpu.single_flops * _share(gpu, "single_flops", MATRIX_SHARE)
        device = products + self.single_flops / single + self.moved_bytes / bandwidth
        device = max(device, self.kernels * KERNEL_S)
        device += self.sent_bytes / (LINK_SHARE * gpu.link_bytes_per_s)
        return max(device, self.stored_bytes / DISK_BYTES_PER_S)


def _share(gpu: Accelerator, rate: str, assumed: float) -> float:
    """Return the share of a rate that kernels reach: all of one that was measured."""
    return 1.0 if rate in gpu.reached else assumed


_ALL = fields(Effort)
