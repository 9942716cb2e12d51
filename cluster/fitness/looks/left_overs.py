"""Looks for what ended launches and Rays left on a machine."""

import os
import re
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

_COUNTED_WITHIN_S = 5.0
_CONNECT_S = 2.0
_GCS = re.compile(r"--gcs-address=(\S+):(\d+)")


def look(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is left, without touching it.

    Args:
        asked: nothing.
    """
    del asked
    raylets = list(_raylets())
    sessions = _sessions(alive={session for _, _, session in raylets})
    return {
        "sessions": len(sessions),
        "session_bytes": _bytes_of(sessions),
        "session_folder": str(_ray_folder()),
        "orphans": [pid for pid, head, _ in raylets if not _answers(head)],
        "folders": _unheld_folders(),
    }


def _ray_folder() -> Path:
    return Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()) / "ray"


def _raylets() -> Iterator[tuple[int, tuple[str, int], str]]:
    """Yield (process id, address of its head, session folder) of this user's raylets."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError):
            if folder.stat().st_uid != os.getuid():
                continue
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if not words[0].endswith("/raylet"):
                continue
            head = _GCS.search(" ".join(words))
            session = next((w for w in words if w.startswith("--session-name=")), "")
            if head is not None:
                name = session.removeprefix("--session-name=")
                yield int(folder.name), (head[1], int(head[2])), name


def _answers(head: tuple[str, int]) -> bool:
    try:
        socket.create_connection(head, timeout=_CONNECT_S).close()
    except OSError:
        return False
    return True


def _sessions(alive: set[str]) -> list[Path]:
    """List the session folders of Rays that no raylet here belongs to any more."""
    with suppress(OSError):
        return [
            folder
            for folder in _ray_folder().glob("session_2*")
            if folder.is_dir() and not folder.is_symlink() and folder.name not in alive
        ]
    return []


def _bytes_of(folders: list[Path]) -> int:
    """Add up what lies below, for some seconds at most."""
    until, total = time.monotonic() + _COUNTED_WITHIN_S, 0
    for folder in folders:
        for parent, _, names in os.walk(folder):
            for name in names:
                with suppress(OSError):
                    total += os.lstat(f"{parent}/{name}").st_blocks * 512
            if time.monotonic() > until:
                return total
    return total


def _unheld_folders() -> list[str]:
    """List our own folders of processes that have ended; the next launch here sweeps them."""
    from cluster.disk.temp_folders import unheld

    return unheld()
