"""Tries to take a lock that another machine holds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cluster.locks.file_lock import FileLock, NoLocks
from cluster.locks.held import Occupied


def look(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return `held` where the lock is held, `free` where it could be taken, or `no locks`.

    Args:
        asked: `path` of the lock's file.
    """
    path = Path(asked["path"])
    if not path.exists():
        return {"lock": "not there"}
    try:
        with FileLock(path).hold():
            return {"lock": "free"}
    except Occupied:
        return {"lock": "held"}
    except NoLocks:
        return {"lock": "no locks"}
