"""Work that is redone in halves when memory runs out."""

from collections.abc import Callable
from typing import TypeVar

from cluster.errors import OutOfMemory
from jobs.worker.whose_fault import is_out_of_memory

Result = TypeVar("Result")


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
