"""`Resources`: what a job needs of a machine, or a machine offers; and what this machine has."""

import os
import platform
from contextlib import suppress
from dataclasses import dataclass

from cluster.machine.accelerators import slowest_of
from cluster.machine.batch_job import given_bytes, given_cores
from cluster.machine.container_limits import ContainerLimits, container_limits
from cluster.machine.visible_gpus import visible_gpus


@dataclass(frozen=True, kw_only=True)
class Resources:
    """An amount of machine: what a job needs, or what a node or a cluster offers.

    A job of several ranks (processes that start and end together) needs as much for each rank;
    sums and comparisons count all ranks.
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
    """Number of ranks."""
    num_nodes: int = 1
    """Number of nodes that the ranks are spread over evenly."""
    gpu_name: str = ""
    """The product of the accelerators that a node offers; empty: not known, or of no matter."""

    @property
    def total(self) -> "Resources":
        """The resources of all ranks together, as one rank."""
        if self.num_ranks == 1:
            return self
        return self._share(self.num_ranks)

    @property
    def on_each_node(self) -> "Resources":
        """The resources that each of the nodes has to hold, as one rank."""
        return self._share(-(-self.num_ranks // self.num_nodes))

    def _share(self, num_ranks: int) -> "Resources":
        return Resources(
            num_cpus=self.num_cpus * num_ranks,
            num_gpus=self.num_gpus * num_ranks,
            memory_gb=self.memory_gb * num_ranks,
            gpu_memory_gb=self.gpu_memory_gb,
            gpu_name=self.gpu_name,
        )

    def fits(self, offered: "Resources") -> bool:
        """Return True when `offered` is at least as much of everything, summed over nodes."""
        needed = self.total
        return (
            needed.num_cpus <= offered.num_cpus + 1e-9
            and needed.num_gpus <= offered.num_gpus + 1e-9
            and needed.memory_gb <= offered.memory_gb + 1e-9
            and (not offered.gpu_memory_gb or needed.gpu_memory_gb <= offered.gpu_memory_gb + 1e-9)
        )

    def minus(self, other: "Resources") -> "Resources":
        """Return what is left without `other`; may be negative."""
        return self._add(other.total, -1, gpu_memory_gb=self.gpu_memory_gb)

    def plus(self, other: "Resources") -> "Resources":
        """Return both together, as one rank."""
        most = max(self.gpu_memory_gb, other.gpu_memory_gb)
        return self._add(other.total, 1, gpu_memory_gb=most)

    def _add(self, other: "Resources", sign: int, *, gpu_memory_gb: float) -> "Resources":
        return Resources(
            num_cpus=self.num_cpus + sign * other.num_cpus,
            num_gpus=self.num_gpus + sign * other.num_gpus,
            memory_gb=self.memory_gb + sign * other.memory_gb,
            gpu_memory_gb=gpu_memory_gb,
            gpu_name=self.gpu_name or other.gpu_name,
        )

    def times_in(self, offered: "Resources") -> int:
        """Return how often these resources fit into `offered` at once; 0 if they are nothing."""
        needed = self.total
        ratios = [
            has / needs
            for needs, has in (
                (needed.num_cpus, offered.num_cpus),
                (needed.num_gpus, offered.num_gpus),
                (needed.memory_gb, offered.memory_gb),
            )
            if needs > 0
        ]
        return max(0, int(min(ratios, default=0) + 1e-9))

    def describe(self) -> str:
        """Return the text `2 CPUs, 1 GPU of 80 GB, 16 GB`, or `4 x (...) on 2 nodes`."""
        parts = [_pluralize(self.num_cpus, "CPU")]
        if self.num_gpus:
            size = f" of {self.gpu_memory_gb:g} GB" if self.gpu_memory_gb else ""
            parts.append(_pluralize(self.num_gpus, "GPU") + size)
        if self.memory_gb:
            parts.append(f"{self.memory_gb:g} GB")
        rank = ", ".join(parts)
        if self.num_ranks == 1:
            return rank
        return f"{self.num_ranks} x ({rank}) on {_pluralize(self.num_nodes, 'node')}"


def _pluralize(number: float, what: str) -> str:
    return f"{number:g} {what}" + ("" if number == 1 else "s")


def this_machine() -> Resources:
    """Return the cores, memory and GPUs that this process may use; without torch.

    In a container or batch job these are its limits, not the host's: whole cores, one at least.
    """
    limits = container_limits()
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    gpus = visible_gpus()
    return Resources(
        num_cpus=_usable_cpus(limits),
        num_gpus=len(gpus),
        memory_gb=round(min(memory_bytes, limits.memory_bytes, given_bytes()) / 1e9, 1),
        gpu_memory_gb=min((gpu.memory_gb for gpu in gpus), default=0),
        gpu_name=slowest_of([gpu.name for gpu in gpus]),
    )


def usable_cpus() -> int:
    """Return the cores that this process may use; without looking for GPUs."""
    return _usable_cpus(container_limits())


def _usable_cpus(limits: ContainerLimits) -> int:
    return max(1, int(min(len(os.sched_getaffinity(0)), limits.num_cpus, given_cores())))


def processor_name() -> str:
    """Return the processor's model where the system names it, else its architecture."""
    with suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as stream:
        for line in stream:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()
