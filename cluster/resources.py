"""What a job needs of a machine, and what this machine has."""

import os
import platform
import subprocess
from contextlib import suppress
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Resources:
    """An amount of machine. Asked for by a job, or offered by a node or a cluster.

    A job of several ranks (processes that start and end together) asks for as much for each of
    them; sums and comparisons count all ranks.
    """

    num_cpus: float = 1
    """Processor cores of a rank; also the number of compute threads it runs with."""
    num_gpus: float = 0
    """Accelerators of a rank."""
    memory_gb: float = 0
    """Host memory of a rank, in 10^9 bytes; 0 = not accounted for."""
    gpu_memory_gb: float = 0
    """Memory of each accelerator, in 10^9 bytes; 0 = not accounted for, or not known."""
    num_ranks: int = 1
    """Ranks of a job."""
    num_nodes: int = 1
    """Nodes that the ranks are spread over evenly."""

    @property
    def total(self) -> "Resources":
        """All ranks together, as one."""
        if self.num_ranks == 1:
            return self
        return self._share(self.num_ranks)

    @property
    def on_each_node(self) -> "Resources":
        """What one of its nodes has to hold, as one."""
        return self._share(-(-self.num_ranks // self.num_nodes))

    def _share(self, num_ranks: int) -> "Resources":
        return Resources(
            num_cpus=self.num_cpus * num_ranks,
            num_gpus=self.num_gpus * num_ranks,
            memory_gb=self.memory_gb * num_ranks,
            gpu_memory_gb=self.gpu_memory_gb,
        )

    def fits(self, offered: "Resources") -> bool:
        """True when `offered` is at least this much of everything, wherever in it that is."""
        asked = self.total
        return (
            asked.num_cpus <= offered.num_cpus + 1e-9
            and asked.num_gpus <= offered.num_gpus + 1e-9
            and asked.memory_gb <= offered.memory_gb + 1e-9
            and (not offered.gpu_memory_gb or asked.gpu_memory_gb <= offered.gpu_memory_gb + 1e-9)
        )

    def minus(self, other: "Resources") -> "Resources":
        """What is left when `other` is taken; may be negative."""
        taken = other.total
        return Resources(
            num_cpus=self.num_cpus - taken.num_cpus,
            num_gpus=self.num_gpus - taken.num_gpus,
            memory_gb=self.memory_gb - taken.memory_gb,
            gpu_memory_gb=self.gpu_memory_gb,
        )

    def plus(self, other: "Resources") -> "Resources":
        """Both together."""
        added = other.total
        return Resources(
            num_cpus=self.num_cpus + added.num_cpus,
            num_gpus=self.num_gpus + added.num_gpus,
            memory_gb=self.memory_gb + added.memory_gb,
            gpu_memory_gb=max(self.gpu_memory_gb, added.gpu_memory_gb),
        )

    def times_in(self, offered: "Resources") -> int:
        """How often it fits into `offered` at once; of nothing at all, 0."""
        asked = self.total
        ratios = [
            has / asks
            for asks, has in (
                (asked.num_cpus, offered.num_cpus),
                (asked.num_gpus, offered.num_gpus),
                (asked.memory_gb, offered.memory_gb),
            )
            if asks > 0
        ]
        return max(0, int(min(ratios, default=0) + 1e-9))

    def described(self) -> str:
        """As people read it: `2 CPUs, 1 GPU of 80 GB, 16 GB`, or `4 x (...) on 2 nodes`."""
        parts = [_counted(self.num_cpus, "CPU")]
        if self.num_gpus:
            of = f" of {self.gpu_memory_gb:g} GB" if self.gpu_memory_gb else ""
            parts.append(_counted(self.num_gpus, "GPU") + of)
        if self.memory_gb:
            parts.append(f"{self.memory_gb:g} GB")
        one = ", ".join(parts)
        if self.num_ranks == 1:
            return one
        return f"{self.num_ranks} x ({one}) on {_counted(self.num_nodes, 'node')}"


def _counted(number: float, what: str) -> str:
    return f"{number:g} {what}" + ("" if number == 1 else "s")


def this_machine() -> Resources:
    """Cores this process may use, GPUs the driver lists, and physical memory; imports no torch."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    num_gpus = _num_gpus()
    return Resources(
        num_cpus=len(os.sched_getaffinity(0)),
        num_gpus=num_gpus,
        memory_gb=round(memory, 1),
        gpu_memory_gb=_gpu_memory_gb() if num_gpus else 0,
    )


def processor_name() -> str:
    """The processor's model where the system names it, else its architecture."""
    with suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as stream:
        for line in stream:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def _num_gpus() -> int:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([device for device in visible.split(",") if device.strip() not in ("", "-1")])
    return sum(line.startswith("GPU ") for line in _driver_says("--list-gpus"))


def _gpu_memory_gb() -> float:
    """Of the smallest GPU; 0 when the driver does not say."""
    lines = _driver_says("--query-gpu=memory.total", "--format=csv,noheader,nounits")
    sizes = [int(line) * 2**20 / 1e9 for line in lines if line.strip().isdigit()]
    return round(min(sizes, default=0.0), 1)


def _driver_says(*asked: str) -> list[str]:
    try:
        said = subprocess.run(
            ["nvidia-smi", *asked], capture_output=True, text=True, timeout=20, check=False
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return []
    return said.stdout.splitlines()
