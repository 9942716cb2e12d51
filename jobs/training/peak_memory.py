"""Memory while a job trains: the peak of this process or its GPU, and running out of it."""

import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster.errors import OutOfMemory
from jobs.worker.out_of_memory import is_out_of_memory

_CLEAR, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


def reset_peak(*, on_gpu: bool) -> None:
    """Count anew from what is held now."""
    if on_gpu:
        import torch

        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    elif _CLEAR.exists():
        _CLEAR.write_text("5", encoding="ascii")


def peak_bytes(*, on_gpu: bool) -> int:
    """The most that was held since: tensors of a GPU, or memory of this whole process."""
    if on_gpu:
        import torch

        torch.cuda.synchronize()
        return int(torch.cuda.max_memory_allocated())
    if _STATUS.exists():
        found = re.search(r"^VmHWM:\s+(\d+) kB", _STATUS.read_text(encoding="ascii"), re.M)
        if found:
            return int(found[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def device_bytes() -> int:
    """Memory of the GPU in use."""
    import torch

    return int(torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory)


@contextmanager
def out_of_memory_is_ours(doing: str) -> Iterator[None]:
    """What torch raises when memory runs out becomes OutOfMemory, which names what was done."""
    try:
        yield
    except Exception as fault:
        if not is_out_of_memory(fault):
            raise
        first = str(fault).strip().partition("\n")[0]
        raise OutOfMemory(f"{doing} ran out of memory: {first or type(fault).__name__}") from fault
