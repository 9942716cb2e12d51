"""How many processes the kernel has killed for want of memory: of the host, of this memory group.

A process that is killed says nothing, and its death looks like any other: these counts are what
tells. They only grow.
"""

import re
from contextlib import suppress
from pathlib import Path

from cluster.machine.container_limits import MEMORY, control_groups

_COUNT = re.compile(r"^oom_kill (\d+)", re.MULTILINE)
_FILES = ("memory.events", "memory.oom_control")
"""Of version 2 and of version 1."""


def oom_kills(root: Path = Path("/")) -> dict[str, int]:
    """Return the counts that can be read: `host`, and `group` of this process and what it started.

    Args:
        root: folder that holds `proc` and `sys`.
    """
    counts: dict[str, int] = {}
    if (host := _count(root / "proc/vmstat")) is not None:
        counts["host"] = host
    for group in control_groups(root, MEMORY):
        found = [count for name in _FILES if (count := _count(group / name)) is not None]
        if found:
            counts["group"] = found[0]
            break
    return counts


def _count(file: Path) -> int | None:
    with suppress(OSError, ValueError):
        if match := _COUNT.search(file.read_text(encoding="ascii")):
            return int(match[1])
    return None
