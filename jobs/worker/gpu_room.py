"""Room on a GPU that others may use, too: what this process can have, and who holds the rest."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from cluster.fault_classes import FaultClass
from cluster.machine.gpu_processes import gpu_memory, gpu_processes
from cluster.machine.visible_gpus import visible_gpus
from cluster.redaction.redactor import redacted
from jobs.worker.answer import Code, Fault

_GB = 1e9
_OWN_BYTES = 10**9
"""What this process may hold beside torch's memory: the driver's context, kernels, NCCL."""
_LEAST_SHARE = 0.05
"""Of a GPU's memory: what a display and the driver hold is nobody's, and no reason to wait."""
_ASKED = re.compile(r"tried to allocate ([\d.]+) (bytes|KiB|MiB|GiB)", re.I)
_UNITS = {"bytes": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30}


def room_bytes() -> int:
    """Return the bytes of its GPU that this process can hold: what is free, and what it has."""
    import torch

    return int(torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved())


@contextmanager
def held_to_part(num_gpus: float) -> Iterator[None]:
    """Let this process have no more of its GPU than its part, so that no neighbour runs out.

    Afterwards it may have all again: a process may run jobs of a whole GPU after one of a part.
    Where torch sees no GPU nothing is held: the job says so when it asks for one.
    """
    import torch

    if not torch.cuda.is_available():
        yield
        return
    _, total = torch.cuda.mem_get_info()
    torch.cuda.set_per_process_memory_fraction(max(0.01, num_gpus - _OWN_BYTES / total))
    try:
        yield
    finally:
        with suppress(RuntimeError):  # a GPU that is broken has its own fault to tell
            torch.cuda.set_per_process_memory_fraction(1.0)


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What others hold of a GPU of this process."""

    described: str
    """Which GPU, how much of it, and who."""
    total: int
    """Bytes of the GPU."""
    held: int
    """Bytes that this process has in tensors there."""

    def is_in_the_way(self, needed: float, message: str) -> bool:
        """Tell whether what ran out of memory would fit this GPU if it were empty.

        Args:
            needed: bytes that the job is expected to take at its peak; 0 where nobody knows.
            message: what was said when memory ran out; torch says there how much it asked for.
        """
        asked = _ASKED.search(message)
        more = float(asked[1]) * _UNITS[asked[2].lower()] if asked else 0.0
        return max(needed, self.held + more) + _OWN_BYTES <= self.total


def taken_by_others() -> Taken | None:
    """Say who holds a GPU of this process beside it; None where nobody holds much of any.

    Asked after memory ran out. Where others hold all, no context can be opened there, and torch
    can answer nothing: then the driver's program is believed, if it is here.
    """
    import torch

    if not torch.cuda.is_available():
        return None
    used = [gpu for gpu in range(torch.cuda.device_count()) if _own(gpu)[0]]
    try:
        devices = used or [torch.cuda.current_device()]
    except RuntimeError:
        devices = [0]
    for device in devices:
        reserved, held = _own(device)
        free, total = _free_and_total(device)
        taken = total - free - reserved - _OWN_BYTES
        if taken > _LEAST_SHARE * total:
            size = f"{taken / _GB:.1f} of its {total / _GB:.1f} GB are held by others"
            described = f"GPU {device} is not free: {size}{_holders(device)}"
            return Taken(described=described, total=total, held=held)
    return None


def _own(device: int) -> tuple[int, int]:
    """Return the bytes that torch has reserved on a GPU, and of them those of tensors."""
    import torch

    try:
        return int(torch.cuda.memory_reserved(device)), int(torch.cuda.memory_allocated(device))
    except RuntimeError:  # without a context there is nothing
        return 0, 0


def _free_and_total(device: int) -> tuple[int, int]:
    """Return free and all bytes of a GPU, by torch or else by the driver; zeros: neither says."""
    import torch

    try:
        free, total = torch.cuda.mem_get_info(device)
        return int(free), int(total)
    except RuntimeError:
        about = gpu_memory(_name_of(device))
        return (about.free, about.total) if about else (0, 0)


def _name_of(device: int) -> str:
    """Return how the driver names a GPU that torch numbers; empty where it is not known."""
    import torch

    try:
        return str(getattr(torch.cuda.get_device_properties(device), "uuid", ""))
    except RuntimeError:
        shown = visible_gpus()
        return shown[device].identifier if device < len(shown) else ""


def _holders(device: int) -> str:
    """Return `: python (pid 4321) 61.2 GB`; says so where nobody is named."""
    name = _name_of(device)
    about = gpu_memory(name)
    uuid = about.uuid if about else name
    others = [
        process
        for process in gpu_processes()
        if uuid and process.pid != os.getpid() and uuid in process.gpu
    ]
    if not others:
        return " (nvidia-smi names nobody here)"
    return ": " + ", ".join(process.describe() for process in others)


def unless_taken(fault: Fault, needed: float) -> Fault:
    """Name who holds the GPU beside a job that needs so many bytes (0: nobody knows).

    It is waited for only where the job would fit without them; else another layout is tried.
    """
    taken = taken_by_others()
    if taken is None:
        return fault
    if not taken.is_in_the_way(needed, fault.message):
        return replace(fault, message=redacted(f"{fault.message}; {taken.described}"))
    return Fault(
        code=Code.SURROUNDINGS,
        message=redacted(f"{taken.described}; {fault.message}"),
        fault_class=FaultClass.GPU_TAKEN,
    )
