"""What a job needs of a machine, and what this machine has."""

import os
import platform
import subprocess
from contextlib import suppress
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Resources:
    """An amount of machine. Asked for by a job, or offered by a cluster."""

    num_cpus: float = 1
    """Processor cores; also the number of compute threads the job runs with."""
    num_gpus: float = 0
    """Accelerators."""
    memory_gb: float = 0
    """Host memory, in 10^9 bytes; 0 = not accounted for."""

    def fits(self, offered: "Resources") -> bool:
        """True when `offered` is at least this much of everything."""
        return (
            self.num_cpus <= offered.num_cpus + 1e-9
            and self.num_gpus <= offered.num_gpus + 1e-9
            and self.memory_gb <= offered.memory_gb + 1e-9
        )

    def minus(self, other: "Resources") -> "Resources":
        """What is left when `other` is taken; may be negative."""
        return Resources(
            num_cpus=self.num_cpus - other.num_cpus,
            num_gpus=self.num_gpus - other.num_gpus,
            memory_gb=self.memory_gb - other.memory_gb,
        )

    def plus(self, other: "Resources") -> "Resources":
        """Both together."""
        return Resources(
            num_cpus=self.num_cpus + other.num_cpus,
            num_gpus=self.num_gpus + other.num_gpus,
            memory_gb=self.memory_gb + other.memory_gb,
        )

    def times_in(self, offered: "Resources") -> int:
        """How often it fits into `offered` at once; of nothing at all, 0."""
        ratios = [
            has / asks
            for asks, has in (
                (self.num_cpus, offered.num_cpus),
                (self.num_gpus, offered.num_gpus),
                (self.memory_gb, offered.memory_gb),
            )
            if asks > 0
        ]
        return max(0, int(min(ratios, default=0) + 1e-9))

    def described(self) -> str:
        """As people read it: `2 CPUs, 1 GPU, 16 GB`."""
        parts = [_counted(self.num_cpus, "CPU")]
        if self.num_gpus:
            parts.append(_counted(self.num_gpus, "GPU"))
        if self.memory_gb:
            parts.append(f"{self.memory_gb:g} GB")
        return ", ".join(parts)


def _counted(number: float, what: str) -> str:
    return f"{number:g} {what}" + ("" if number == 1 else "s")


def this_machine() -> Resources:
    """Cores this process may use, GPUs the driver lists, and physical memory; imports no torch."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return Resources(
        num_cpus=len(os.sched_getaffinity(0)), num_gpus=_num_gpus(), memory_gb=round(memory, 1)
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
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--list-gpus"], capture_output=True, text=True, timeout=20, check=False
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return 0
    return sum(line.startswith("GPU ") for line in listed.stdout.splitlines())
