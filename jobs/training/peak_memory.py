"""Memory while a job trains: the peak of its process or GPU."""

import torch

from jobs.worker.host_memory import host_peak_bytes, reset_host_peak


def reset_peak(*, on_gpu: bool) -> None:
    """Start a new measurement of the peak, from what is held now."""
    if on_gpu:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    else:
        reset_host_peak()


def peak_bytes(*, on_gpu: bool) -> int:
    """Return the peak since the last reset: tensors of a GPU, or memory of the whole process."""
    if on_gpu:
        torch.cuda.synchronize()
        return int(torch.cuda.max_memory_allocated())
    return host_peak_bytes()


def device_bytes() -> int:
    """Return the memory of the GPU in use."""
    return int(torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory)
