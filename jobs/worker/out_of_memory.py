"""Running out of memory: as a fault that names the work, and as work that is redone in halves."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from cluster.errors import OutOfMemory
from jobs.worker.whose_fault import is_out_of_memory

Result = TypeVar("Result")


@contextmanager
def as_out_of_memory(doing: str) -> Iterator[None]:
    """Turn what libraries raise when memory runs out into OutOfMemory, which names the activity."""
    try:
        yield
    except Exception as fault:
        if not is_out_of_memory(fault):
            raise
        first = str(fault).strip().partition("\n")[0]
        raise OutOfMemory(f"{doing} ran out of memory: {first or type(fault).__name__}") from fault


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
