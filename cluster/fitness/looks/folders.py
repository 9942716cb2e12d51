"""Looks how much room folders of a machine have: bytes and inodes."""

import os
import tempfile
from collections.abc import Mapping
from typing import Any


def look(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return path -> room for each folder that is there, or why it cannot be looked at.

    Args:
        asked: `folders`: paths; `temp` names the folder for temporary files of this process.
    """
    return {name: _room(_path(name)) for name in asked["folders"]}


def _path(name: str) -> str:
    return tempfile.gettempdir() if name == "temp" else name


def _room(path: str) -> dict[str, Any]:
    try:
        room = os.statvfs(path)
        with tempfile.TemporaryFile(dir=path) as probe:
            probe.write(b"\0" * room.f_frsize)
            probe.flush()
        fault = None
    except FileNotFoundError:
        return {"path": path, "fault": "there is no such folder"}
    except OSError as error:
        fault = error.strerror or str(error)
        if not os.path.isdir(path):
            return {"path": path, "fault": fault}
    return {
        "path": path,
        "fault": fault,
        "total": room.f_blocks * room.f_frsize,
        "free": room.f_bavail * room.f_frsize,
        # Where inodes are made as they are needed (btrfs, many object stores), all counts are 0.
        "free_inodes": room.f_favail if room.f_files else None,
    }
