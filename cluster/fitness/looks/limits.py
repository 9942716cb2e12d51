"""Looks up what a machine lets a process have: descriptors, processes, memory, time, cores."""

import os
import resource
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from cluster.machine.batch_job import given_cores
from cluster.machine.container_limits import container_limits


def look(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the limits of this process, as jobs would have them; None: no limit.

    Args:
        asked: nothing.
    """
    del asked
    groups = container_limits()
    return {
        "files": _limit(resource.RLIMIT_NOFILE),
        "most_files": _limit(resource.RLIMIT_NOFILE, which=1),
        "processes": _limit(resource.RLIMIT_NPROC),
        "used_processes": _threads_of_user(),
        "group_processes": _room_in_group(),
        "locked_bytes": _limit(resource.RLIMIT_MEMLOCK),
        "cpu_seconds": _limit(resource.RLIMIT_CPU),
        "file_bytes": _limit(resource.RLIMIT_FSIZE),
        "address_bytes": _limit(resource.RLIMIT_AS),
        "has_infiniband": any(Path("/sys/class/infiniband").glob("*")),
        "cores": len(os.sched_getaffinity(0)),
        "group_cores": _finite(min(groups.num_cpus, given_cores())),
        "group_memory_bytes": _finite(groups.memory_bytes),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
    }


def _finite(number: float) -> float | None:
    return None if number == float("inf") else number


def _limit(number: int, which: int = 0) -> int | None:
    limit = resource.getrlimit(number)[which]
    return None if limit == resource.RLIM_INFINITY else limit


def _threads_of_user() -> int:
    """Return how many threads this user has: what the kernel counts against the limit."""
    used = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if folder.stat().st_uid == os.getuid():
                used += len(os.listdir(folder / "task"))
    return used


def _room_in_group() -> int | None:
    """Return how many more processes the control groups allow; None: no limit is seen."""
    rooms = []
    for text in _lines(Path("/proc/self/cgroup")):
        _, controllers, path = text.split(":", 2)
        if controllers and "pids" not in controllers.split(","):
            continue
        top = Path("/sys/fs/cgroup") / ("pids" if controllers else "")
        inner = top / path.lstrip("/")
        for folder in (inner, *inner.parents):
            with suppress(OSError, ValueError):
                most = int((folder / "pids.max").read_text())
                rooms.append(most - int((folder / "pids.current").read_text()))
            if folder == top:
                break
    return min(rooms, default=None)


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text().splitlines() if line.count(":") >= 2]
    except OSError:
        return []
