"""The files of one snapshot: written by a thread while training goes on, and taken over on resume.

`snapshots/<step>/` of an attempt is part of its artifact. `SNAPSHOT.json` comes last and lists the
other files with their digests: a folder without it, or with a byte that differs, is none.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from cluster.checked_json import parse_as
from jobs.artifacts.artifact import FileEntry, digest_file, is_plain_name
from jobs.worker.attempt_folder import AttemptFolder
from jobs.worker.lost_bytes import digest_unless_lost

FOLDER = "snapshots"
"""Folder of an attempt, and of the artifact, that holds its snapshots."""
MARKER = "SNAPSHOT.json"

Write = Callable[[Path], Mapping[str, Any]]
"""Writes the files of a snapshot into a folder, in any thread; returns how it is held."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """The content of `SNAPSHOT.json`."""

    step: int
    """Optimizer steps done."""
    held: Mapping[str, Any]
    """How the model is held: the form, bytes, and why."""
    files: Mapping[str, FileEntry]
    """Name in the folder -> size and digest."""

    @property
    def bytes(self) -> int:
        """Bytes of the files."""
        return sum(entry.bytes for entry in self.files.values())


_KEPT = TypeAdapter(Kept)


def folder_of(step: int) -> str:
    """Return the folder of the model after a step, in its attempt."""
    return f"{FOLDER}/{step}"


def write_snapshot(attempt: AttemptFolder, step: int, write: Write) -> Kept:
    """Write the files of a snapshot, make them durable, and mark them whole."""
    folder = attempt.path / folder_of(step)
    folder.mkdir(parents=True, exist_ok=True)
    held = write(folder)
    files = {
        file.relative_to(folder).as_posix(): FileEntry(
            bytes=file.stat().st_size, xxh3=digest_file(file)
        )
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }
    kept = Kept(step=step, held=held, files=files)
    (folder / MARKER).write_text(json.dumps(asdict(kept), indent=1, sort_keys=True) + "\n")
    attempt.publish(folder_of(step), discard=True, entries=files)
    return kept


def take_over(attempt: AttemptFolder, other: str, steps: Iterable[int]) -> dict[int, Kept] | None:
    """Take the snapshots of another attempt over; None, and nothing taken, where one is not whole.

    Args:
        attempt: takes them.
        other: the attempt that this one continues.
        steps: after which they were taken.
    """
    found: dict[int, Kept] = {}
    for step in steps:
        kept = _whole(attempt, other, step)
        if kept is None:
            return None
        found[step] = kept
    for step, kept in found.items():
        data = attempt.read_other(other, f"{folder_of(step)}/{MARKER}") or b""
        marker = attempt.path / folder_of(step) / MARKER
        attempt.adopt(folder_of(step), other, kept.files)
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.write_bytes(data)
        attempt.publish(f"{folder_of(step)}/{MARKER}", discard=True)
    return found


def _whole(attempt: AttemptFolder, other: str, step: int) -> Kept | None:
    """Return a snapshot of another attempt whose files have the bytes that it lists."""
    folder = f"{attempt.artifact.attempt_folder(other)}/{folder_of(step)}"
    data = attempt.read_other(other, f"{folder_of(step)}/{MARKER}")
    if data is None:
        return None
    try:
        kept = parse_as(_KEPT, data)
    except ValueError:
        return None
    storage = attempt.artifact.storage
    is_whole = kept.step == step and all(
        is_plain_name(name) and digest_unless_lost(storage, f"{folder}/{name}") == entry.xxh3
        for name, entry in kept.files.items()
    )
    return kept if is_whole else None
