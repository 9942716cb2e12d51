"""The data that a study was launched with, and which of them have other bytes by now.

Whoever asks about a study sees what was launched, and must not take it for what the data say now.
"""

import os
from collections.abc import Iterable, Mapping

from typing_extensions import TypedDict

from cluster.errors import DeltascaleError
from jobs.sources.path_digests import digest_paths
from jobs.sources.plain_files import inside_of

_MOST_FILES = 1000
"""A folder of more is not looked at: that would take longer than the answer."""
_MOST_BYTES = 10**9
"""What is larger is not read again to learn whether it is as it was."""


class Stamp(TypedDict):
    """What a file or folder was when the study was launched."""

    bytes: int
    """Its bytes, all files together."""
    changed_ns: int
    """When a file of it was changed last, in nanoseconds since the epoch."""
    digest: str | None
    """Digest of its bytes; null: there are many."""


def stamps_of(paths: Iterable[str]) -> dict[str, Stamp]:
    """Return path -> stamp, of the files and folders that are here."""
    return {path: stamp for path in sorted(paths) if (stamp := _stamp(path)) is not None}


def changed_data(stamps: Mapping[str, Stamp]) -> list[str]:
    """Return those of the paths that are here and have other bytes than they had."""
    return [path for path, stamp in stamps.items() if _has_changed(path, stamp)]


def _has_changed(path: str, stamp: Stamp) -> bool:
    seen = _look(path)
    if seen is None or seen == (stamp["bytes"], stamp["changed_ns"]):
        return False
    if seen[0] != stamp["bytes"]:
        return True
    return stamp["digest"] is not None and _digest(path) not in (None, stamp["digest"])


def _stamp(path: str) -> Stamp | None:
    seen = _look(path)
    if seen is None:
        return None
    digest = _digest(path) if seen[0] <= _MOST_BYTES else None
    return {"bytes": seen[0], "changed_ns": seen[1], "digest": digest}


def _digest(path: str) -> str | None:
    try:
        return str(digest_paths(path))
    except DeltascaleError:
        return None


def _look(path: str) -> tuple[int, int] | None:
    """Return bytes and time of the last change; None where it is not here, or has many files."""
    try:
        files = inside_of(path) if os.path.isdir(path) else [path]
        if len(files) > _MOST_FILES:
            return None
        found = [os.stat(file) for file in files]
    except (OSError, DeltascaleError):
        return None
    return sum(one.st_size for one in found), max((one.st_mtime_ns for one in found), default=0)
