"""Who holds the memory of this host now: this process, the host as a whole, the largest others."""

import os
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from cluster.machine.container_limits import container_limits
from cluster.machine.gpu_processes import gpu_processes

_LARGEST = 3
"""Other processes that are named."""
_LEAST_BYTES = 10**8
"""Smaller ones took nobody's memory."""


def memory_use() -> dict[str, float]:
    """Return memory in 10^9 bytes: of this process, in use on the host or container, all there is.

    What runs beside in other containers counts as in use.
    """
    import psutil

    host = psutil.virtual_memory()
    limits = container_limits()
    total = min(host.total, limits.memory_bytes)
    free = min(host.available, limits.free_bytes)
    return {
        "process_gb": round(psutil.Process().memory_info().rss / 1e9, 3),
        "host_used_gb": round(max(0.0, total - free) / 1e9, 3),
        "host_gb": round(total / 1e9, 3),
    }


def largest_others(ours: tuple[str, str] | None = None) -> list[dict[str, Any]]:
    """Return the largest other processes of this host that are to be seen, the largest first.

    Each with `pid`, `name`, `user`, `gb`, and `in_group`: whether it has the control groups of this
    process, and so the same limit of memory. Command lines are left out: they may hold secrets.

    Args:
        ours: variable and value in the environment of processes that are no others; None: none is.
    """
    import psutil

    found = []
    for process in psutil.process_iter(["pid", "name", "username", "memory_info"]):
        about = process.info
        memory = about["memory_info"]
        if memory is not None and memory.rss >= _LEAST_BYTES and about["pid"] != os.getpid():
            one = {"pid": about["pid"], "name": about["name"] or "a process"}
            found.append({**one, "user": about["username"], "gb": round(memory.rss / 1e9, 3)})
    found.sort(key=lambda one: -one["gb"])
    largest = list(islice((one for one in found if not _has_set(one["pid"], ours)), _LARGEST))
    own_groups = _groups(os.getpid())
    return [{**one, "in_group": _groups(one["pid"]) == own_groups} for one in largest]


def _has_set(pid: int, variable: tuple[str, str] | None) -> bool:
    """Tell whether a process was started with a variable; False where that cannot be seen."""
    import psutil

    if variable is None:
        return False
    name, value = variable
    try:
        return bool(psutil.Process(pid).environ().get(name) == value)
    except (psutil.Error, OSError):
        return False  # another user's, or it has ended


def _groups(pid: int) -> str | None:
    """Return the control groups of a process as the kernel lists them; None where it is gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8", errors="replace")
    return None


def gpu_holders() -> list[dict[str, Any]]:
    """Return the processes that the driver names on this host's GPUs, this one among them."""
    with suppress(OSError):
        return [
            {"gpu": one.gpu, "pid": one.pid, "name": one.name, "gb": one.memory_gb}
            for one in gpu_processes()
        ]
    return []
