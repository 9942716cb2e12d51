"""Room on a GPU that others may use, too: what this process can have, and who holds the rest."""

import os

from cluster.machine.gpu_processes import gpu_processes

_GB = 1e9
_OWN_BYTES = 10**9
"""What this process may hold beside torch's memory: the driver's context, kernels, NCCL."""
_LEAST_SHARE = 0.05
"""Of a GPU's memory: what a display and the driver hold is nobody's, and no reason to wait."""


def room_bytes(device: int | None = None) -> int:
    """Return the bytes of a GPU that this process can hold: what is free, and what it has."""
    import torch

    return int(torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device))


def hold_to_part(num_gpus: float) -> None:
    """Let this process have no more of its GPU than its part, so that no neighbour runs out."""
    import torch

    _, total = torch.cuda.mem_get_info()
    part = num_gpus - _OWN_BYTES / total
    torch.cuda.set_per_process_memory_fraction(max(0.01, part))


def taken_by_others() -> str | None:
    """Say who holds a GPU of this process beside it; None where nobody holds much of any.

    Asked after memory ran out: no layout helps against a neighbour that is not ours.
    """
    import torch

    if not torch.cuda.is_available():
        return None
    count = torch.cuda.device_count()
    used = [gpu for gpu in range(count) if torch.cuda.memory_reserved(gpu)]
    for device in used or [torch.cuda.current_device()]:
        free, total = torch.cuda.mem_get_info(device)
        own = torch.cuda.memory_reserved(device)
        taken = total - free - own - _OWN_BYTES
        if taken > _LEAST_SHARE * total:
            held = f"{taken / _GB:.1f} of its {total / _GB:.1f} GB are held by others"
            return f"GPU {device} is not free: {held}{_holders(device)}"
    return None


def _holders(device: int) -> str:
    """Return `: python (pid 4321) 61.2 GB`; says so where nobody is named."""
    import torch

    uuid = str(getattr(torch.cuda.get_device_properties(device), "uuid", ""))
    others = [
        process for process in gpu_processes() if process.pid != os.getpid() and uuid in process.gpu
    ]
    if not others:
        return " (nvidia-smi names nobody here)"
    return ": " + ", ".join(process.describe() for process in others)
