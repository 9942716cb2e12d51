"""The last lines of a log, without reading the whole of it where that can be helped."""

import os
from pathlib import Path

from cluster.disk.disk_faults import ForeignEntry
from cluster.redaction.redactor import redacted
from cluster.storage import Storage

_TAIL_BYTES = 64 << 10
_MOST_REMOTE_BYTES = 16 << 20
"""A log is cut to less by whoever writes it; a larger object is none of ours."""


def log_tail(storage: Storage, name: str, num_lines: int) -> list[str]:
    """Return the last lines of a log, without secrets; none where there is no log.

    Raises:
        SurroundingsError: the storage does not answer.
    """
    try:
        data = _tail(storage, name)
    except (FileNotFoundError, ForeignEntry):
        return []
    return _lines(data, num_lines)


def tail_of_file(path: Path, num_lines: int) -> list[str]:
    """Return the last lines of a file beside any root, such as a batch job's log; none without."""
    try:
        with open(path, "rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - _TAIL_BYTES))
            return _lines(stream.read(_TAIL_BYTES), num_lines)
    except OSError:
        return []


def _lines(data: bytes, num_lines: int) -> list[str]:
    text = redacted(data.decode("utf-8", "replace"))
    # A progress bar writes over its line: what stood there last is what was seen.
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
    return [line for line in lines if line.strip()][-num_lines:]


def _tail(storage: Storage, name: str) -> bytes:
    if not storage.is_local:
        size = storage.size(name)
        if size is None or size > _MOST_REMOTE_BYTES:
            return b""
        return storage.read(name)[-_TAIL_BYTES:]
    with storage.open(name) as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - _TAIL_BYTES))
        return stream.read()
