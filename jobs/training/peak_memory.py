"""Memory while a job trains: the peak of its process or GPU."""

import re
import resource
from pathlib import Path

import torch

_CLEAR, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


def reset_peak(*, on_gpu: bool) -> None:
    """Start a new measurement of the peak, from what is held now."""
    if on_gpu:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    elif _CLEAR.exists():
        _CLEAR.write_text("5", encoding="ascii")


def peak_bytes(*, on_gpu: bool) -> int:
    """Return the peak since the last reset: tensors of a GPU, or memory of the whole process."""
    if on_gpu:
        torch.cuda.synchronize()
        return int(torch.cuda.max_memory_allocated())
    if _STATUS.exists():
        peak = re.search(r"^VmHWM:\s+(\d+) kB", _STATUS.read_text(encoding="ascii"), re.M)
        if peak:
            return int(peak[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def device_bytes() -> int:
    """Return the memory of the GPU in use."""
    return int(torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory)
