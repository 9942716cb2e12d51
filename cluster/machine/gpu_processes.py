"""The processes that hold memory of a GPU, by the driver's word."""

import shutil
from dataclasses import dataclass

from cluster.machine.visible_gpus import driver_answer

_QUERY = "--query-compute-apps=gpu_uuid,pid,process_name,used_memory"
_MOST_NAME = 60


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
