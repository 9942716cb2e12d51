"""`Machine`: the GPU that is checked, or the processor on which the check is rehearsed."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from cluster.machine.accelerators import Accelerator, find_accelerator

GB = 1e9
VERSIONS = ("torch", "transformers", "trl", "accelerate", "peft", "deepspeed", "datasets", "numpy")
"""Packages whose versions stand beside every result."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where a part runs."""

    device: str
    """As torch calls it: `cuda` or `cpu`."""
    rehearses: bool
    """True where shapes are tiny: the code runs, the numbers mean nothing."""
    name: str
    """Of the GPU, as its driver says it; of the processor in a rehearsal."""
    num_gpus: int = 0
    """GPUs that this process sees."""
    memory_gb: float = 0.0
    """Memory of the first GPU, in 10^9 bytes."""
    free_gb: float = 0.0
    """What of it nobody held when the machine was looked at."""

    @property
    def on_gpu(self) -> bool:
        """Whether parts compute on a GPU."""
        return self.device != "cpu"

    @property
    def accelerator(self) -> Accelerator | None:
        """The product, as its maker describes it; None where it is not known."""
        return find_accelerator(self.name, self.memory_gb)

    def synchronise(self) -> None:
        """Wait until the device has done all that was asked of it."""
        if self.on_gpu:
            import torch

            torch.cuda.synchronize()

    def seconds(self, work: Callable[[], object], *, rounds: int = 1, warm_up: int = 1) -> float:
        """Return the shortest wall-clock time of a piece of work, after `warm_up` rounds."""
        taken = []
        for _ in range(warm_up + rounds):
            self.synchronise()
            began = time.perf_counter()
            work()
            self.synchronise()
            taken.append(time.perf_counter() - began)
        return min(taken[warm_up:])

    def free_memory(self) -> None:
        """Let go of what nobody uses any more, and start a new peak."""
        import gc

        gc.collect()
        if self.on_gpu:
            import torch

            torch.cuda.synchronize()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def peak_gb(self) -> float:
        """Return the most memory of tensors since `free_memory`, in 10^9 bytes; 0 without a GPU."""
        if not self.on_gpu:
            return 0.0
        import torch

        return torch.cuda.max_memory_allocated() / GB

    def allocated_bytes(self) -> int:
        """Return the bytes of all tensors on the GPU; 0 on a processor.

        Without the room that cuBLAS works in: 32 MiB a thread on an H100, taken from the same
        allocator at the first product and kept until the process ends.
        """
        if not self.on_gpu:
            return 0
        import torch

        torch.cuda.synchronize()
        torch._C._cuda_clearCublasWorkspaces()
        return int(torch.cuda.memory_allocated())


def look(*, rehearses: bool) -> Machine:
    """Look at this machine. Raises SystemExit where there is no GPU and this is no rehearsal."""
    import torch

    if rehearses:
        return Machine(device="cpu", rehearses=True, name=platform.processor() or "processor")
    if not torch.cuda.is_available():
        built = torch.version.cuda
        raise SystemExit(
            "torch sees no GPU: "
            + (f"its build is for CUDA {built}" if built else "its build is for processors alone")
            + "; `nvidia-smi` says whether a driver is here. "
            "`make gpu-check REHEARSE=1` runs the check's code on a processor"
        )
    free, total = torch.cuda.mem_get_info()
    return Machine(
        device="cuda",
        rehearses=False,
        name=torch.cuda.get_device_name(),
        num_gpus=torch.cuda.device_count(),
        memory_gb=total / GB,
        free_gb=free / GB,
    )


def describe(machine: Machine) -> dict[str, Any]:
    """Return what stands beside every result: machine, driver, versions."""
    import torch

    return {
        "gpu": machine.name,
        "num_gpus": machine.num_gpus,
        "memory_gb": round(machine.memory_gb, 1),
        "free_gb": round(machine.free_gb, 1),
        "driver": driver_version(),
        "cuda": torch.version.cuda,
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in VERSIONS},
    }


def driver_version() -> str | None:
    """Return the version of NVIDIA's driver; None where there is none."""
    try:
        with open("/proc/driver/nvidia/version", encoding="ascii") as file:
            words = file.readline().split()
    except OSError:
        return None
    return next((word for word in words if word.count(".") >= 1 and word[0].isdigit()), None)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
