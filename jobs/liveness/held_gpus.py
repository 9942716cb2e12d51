"""The memory that torch holds on GPUs for this process, asked by the thread that works."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class HeldGpus:
    """The GPUs on which torch holds memory for this process."""

    bytes_of: Mapping[str, int] = field(default_factory=dict)
    """Name for the driver, or a number where it has none, as MIG parts -> bytes, with those that
    torch keeps for later."""

    @property
    def memory_gb(self) -> float | None:
        """Their sum in 10^9 bytes; None where there are none."""
        return round(sum(self.bytes_of.values()) / 1e9, 3) if self.bytes_of else None

    @property
    def uuids(self) -> frozenset[str]:
        """Names for the driver; empty where one of them has none."""
        names = frozenset(self.bytes_of)
        return names if all(name.startswith("GPU-") for name in names) else frozenset()


def held_gpus() -> HeldGpus:
    """Return what torch holds; nothing where it is not loaded, or has not used a GPU.

    Only the thread that works may ask. The allocator answers under a lock that it keeps while it
    waits for the driver, and the interpreter with it: a thread that beats would fall silent.
    """
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return HeldGpus()
    sizes = {gpu: torch.cuda.memory_reserved(gpu) for gpu in range(torch.cuda.device_count())}
    return HeldGpus(bytes_of={_name_of(torch, gpu): size for gpu, size in sizes.items() if size})


def _name_of(torch, gpu: int) -> str:  # type: ignore[no-untyped-def]
    about = torch.cuda.get_device_properties(gpu)
    uuid = str(getattr(about, "uuid", ""))
    is_part = "MIG" in getattr(about, "name", "")
    return str(gpu) if is_part or not uuid else f"GPU-{uuid.removeprefix('GPU-')}"
