"""When memory runs out: how that is told from other faults, and work that is redone in halves."""

import re
from collections.abc import Callable
from typing import TypeVar

from cluster.errors import OutOfMemory

_NO_MEMORY = re.compile(
    "can(no|')t allocate memory|DefaultCPUAllocator: not enough memory|"
    "CUDA error: out of memory|(CUBLAS|CUDNN)_STATUS_ALLOC_FAILED",
    re.I,
)
"""What torch's allocator of host memory, its pinning, and NVIDIA's libraries say; their errors have
no class of their own."""

Result = TypeVar("Result")


def is_out_of_memory(error: Exception) -> bool:
    """Tell whether torch, on a device or on the host, or Python found no memory."""
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and bool(_NO_MEMORY.search(str(error)))


def in_halves(size: int, least: int, work: Callable[[int], Result]) -> tuple[Result, int]:
    """Do work of a size, halved as often as memory runs out; return its result and the size.

    Raises OutOfMemory when `least` is still too much.
    """
    while True:
        try:
            return work(size), size
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            message = str(error).partition("\n")[0]
        # Only here, where the fault no longer holds the tensors of the failed try.
        if size <= least:
            raise OutOfMemory(f"memory runs out in the smallest batch: {message}")
        size = max(least, size // 2)
