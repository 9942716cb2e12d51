"""The memory of a GPU and the processes that hold it, by the driver's word."""

import shutil
from dataclasses import dataclass

from cluster.machine.visible_gpus import driver_answer

_QUERY = "--query-compute-apps=gpu_uuid,pid,process_name,used_memory"
_MEMORY = "--query-gpu=index,uuid,memory.total,memory.free"
_MOST_NAME = 60


@dataclass(frozen=True, kw_only=True)
class GpuMemory:
    """The memory of one GPU."""

    uuid: str
    """`GPU-…`."""
    total: int
    """All its bytes."""
    free: int
    """Bytes that no process holds."""


@dataclass(frozen=True, kw_only=True)
class GpuProcess:
    """A process that computes on a GPU."""

    gpu: str
    """UUID of the GPU, or of the MIG part."""
    pid: int
    """Its number on the host, which is another one inside a container."""
    name: str
    """What it runs."""
    memory_gb: float | None
    """Memory that it holds in 10^9 bytes; None where the driver does not say."""

    def describe(self) -> str:
        """Return `python (pid 4321) 61.2 GB`."""
        size = "" if self.memory_gb is None else f" {self.memory_gb:.1f} GB"
        return f"{self.name} (pid {self.pid}){size}"


def gpu_processes() -> list[GpuProcess]:
    """List the processes on all GPUs of this machine; empty where the driver names none.

    In containers it usually names none: their processes are not visible there.
    """
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    lines = driver_answer(program, _QUERY, "--format=csv,noheader,nounits") or ()
    return [process for line in lines if (process := parse_process(line)) is not None]


def gpu_memory(name: str) -> GpuMemory | None:
    """Return the memory of a GPU that is named by its number, or by all or part of its UUID.

    None where the driver does not say; it says nothing of MIG parts.
    """
    program = shutil.which("nvidia-smi")
    if program is None or not name:
        return None
    for line in driver_answer(program, _MEMORY, "--format=csv,noheader,nounits") or ():
        index, uuid, *sizes = [cell.strip() for cell in line.split(",")] + [""]
        is_named = name == index if name.isdecimal() else name in uuid
        if is_named and len(sizes) >= 2 and all(size.isdecimal() for size in sizes[:2]):
            total, free = (int(size) * 2**20 for size in sizes[:2])
            return GpuMemory(uuid=uuid, total=total, free=free)
    return None


def parse_process(line: str) -> GpuProcess | None:
    """Read `GPU-…, 4321, /usr/bin/python, 58368`, sizes in MiB; None for what is no process.

    Names may hold commas, or be `[Not Found]`; a size may be `[N/A]`.
    """
    cells = [cell.strip() for cell in line.split(",")]
    if len(cells) < 4 or not cells[1].isdecimal():
        return None
    path = ", ".join(cells[2:-1])
    name = path if path.startswith("[") else path.rsplit("/", 1)[-1]
    size = cells[-1].partition(" ")[0]
    return GpuProcess(
        gpu=cells[0],
        pid=int(cells[1]),
        name=(name or "a process")[:_MOST_NAME],
        memory_gb=int(size) * 2**20 / 1e9 if size.isdecimal() else None,
    )
