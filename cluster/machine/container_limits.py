"""The limits that a container or batch system sets on this process: control groups, `ulimit`.

The kernel tells every process the cores and memory of the whole host. What it may really use stands
in its control group (cgroup) and in every group around that one, under version 1 and version 2
alike; the tightest counts. Sets of cores need no look: the kernel's affinity already knows them.
"""

import math
import os
import resource
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_UNLIMITED_BYTES = 2**60
"""A limit of memory from here on is none: version 1 writes almost 2**63."""
_MAPPED_BYTES = 2_000_000_000
"""Address space that the libraries of a job take beyond the memory that they hold: torch, trl and
what they import map 2.4 GB and hold 0.5."""
_CPU_TIME, MEMORY = "cpu", "memory"
"""Names of the controllers whose limits are read."""


@dataclass(frozen=True, kw_only=True)
class ContainerLimits:
    """The most that this process and its children may use of the host; infinite without a limit."""

    num_cpus: float
    """Processor time, in cores; may be a fraction of one."""
    memory_bytes: float
    """Memory in bytes."""
    free_bytes: float
    """Memory in bytes that is left of the tightest limit now; what can be reclaimed counts."""


def container_limits(root: Path = Path("/")) -> ContainerLimits:
    """Read the limits of this process; what cannot be read limits nothing.

    Args:
        root: folder that holds `proc` and `sys`.
    """
    cpus = [_quota(group) for group in control_groups(root, _CPU_TIME)]
    memory = [(_memory(group), _reclaimed(group)) for group in control_groups(root, MEMORY)]
    return ContainerLimits(
        num_cpus=min(cpus, default=math.inf),
        memory_bytes=min([_address_space(), *(limit for limit, _ in memory)]),
        free_bytes=min((max(0.0, limit - used) for limit, used in memory), default=math.inf),
    )


def control_groups(root: Path, controller: str) -> Iterator[Path]:
    """Yield the folders of the control groups that a controller puts this process in, inside out.

    Inside a container `/proc/self/cgroup` may name a path of the host, of which only the end, or
    nothing, can be seen: then the part that is mounted here is looked at.
    """
    for mounted, inside in _mounts(root, controller):
        folder = mounted / inside
        while not folder.is_dir() and folder != mounted:
            folder = folder.parent
        yield folder
        while folder != mounted:
            folder = folder.parent
            yield folder


def _mounts(root: Path, controller: str) -> Iterator[tuple[Path, PurePosixPath]]:
    """Yield (where a hierarchy with this controller is mounted, this process's group in it)."""
    paths = _paths(root)
    for line in _lines(root / "proc/self/mountinfo"):
        before, _, after = line.partition(" - ")
        place, kind = before.split(), after.split()
        if len(place) < 5 or len(kind) < 3:
            continue
        options = kind[2].split(",")
        if kind[0] == "cgroup2":
            path = paths.get("")
        elif kind[0] == "cgroup" and controller in options:
            path = paths.get(controller)
        else:
            continue
        if path is not None:
            yield root / place[4].lstrip("/"), _below(path, place[3])


def _paths(root: Path) -> dict[str, str]:
    """Map controllers to this process's group; the empty name to that of version 2."""
    paths = {}
    for line in _lines(root / "proc/self/cgroup"):
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        paths.update(dict.fromkeys(controllers.split(","), path))
    return paths


def _below(path: str, mounted: str) -> PurePosixPath:
    """Return a group's path relative to the group that is mounted; that group where it is none."""
    with suppress(ValueError):
        relative = PurePosixPath(path).relative_to(mounted)
        return PurePosixPath(*(part for part in relative.parts if part != ".."))
    return PurePosixPath()


def _quota(group: Path) -> float:
    """Return the cores whose time a group may use."""
    words = " ".join(_lines(group / "cpu.max")).split()
    if not words:
        words = [*_lines(group / "cpu.cfs_quota_us"), *_lines(group / "cpu.cfs_period_us")]
    with suppress(ValueError, IndexError):
        quota, period = int(words[0]), int(words[1])
        if quota > 0 and period > 0:
            return quota / period
    return math.inf


def _memory(group: Path) -> float:
    """Return the bytes a group may hold: `memory.high`, from where it is throttled, counts too."""
    names = ("memory.max", "memory.high", "memory.limit_in_bytes")
    return min(_number(group / name) for name in names)


def _reclaimed(group: Path) -> float:
    """Return the bytes a group holds, less the file cache that the kernel would give back."""
    used = min(_number(group / name) for name in ("memory.current", "memory.usage_in_bytes"))
    if math.isinf(used):
        return 0.0
    cached = 0.0
    for line in _lines(group / "memory.stat"):
        name, _, value = line.partition(" ")
        if name in ("inactive_file", "total_inactive_file") and value.isdigit():
            cached = max(cached, float(value))
    return max(0.0, used - cached)


def _number(file: Path) -> float:
    with suppress(ValueError, IndexError):
        number = int(_lines(file)[0])
        if 0 <= number < _UNLIMITED_BYTES:
            return number
    return math.inf


def _address_space() -> float:
    """Return the bytes that a process may fill of its limited address space (`ulimit -v`)."""
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return max(0.0, soft - _MAPPED_BYTES) if 0 < soft < _UNLIMITED_BYTES else math.inf


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def free_host_bytes() -> int:
    """Return the bytes of memory that this process could still take of this host."""
    free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    return int(min(free, container_limits().free_bytes))
