"""Files of training checkpoints: private to an attempt, trusted only behind our own marker.

`checkpoint-N` is written by all ranks of a run, each its own files; `COMPLETE.json` comes last and
lists every file with its digest. A folder without it, or with a byte that differs, is never
continued from: the one before it is.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter

from cluster.checked_json import parse_as
from jobs.artifacts.artifact import FileEntry, digest_file, is_plain_name
from jobs.training.layout import Layout
from jobs.worker.attempt_folder import AttemptFolder

FOLDER = "checkpoints"
"""Folder of an attempt that holds its checkpoints."""
MARKER = "COMPLETE.json"
_PREFIX = "checkpoint-"

Files = Mapping[str, Callable[[Path], None]]
"""Name in a folder -> what writes the file of that name, from memory, in any thread."""


@dataclass(frozen=True, kw_only=True)
class Marker:
    """The content of `COMPLETE.json`."""

    step: int
    """Optimizer steps done."""
    layout: Layout
    """Layout of the run that wrote it."""
    exact: bool
    """True when each step before was computed as this layout computes it, and the run went on only
    from where equal steps give equal bits."""
    files: Mapping[str, FileEntry]
    """Name in the folder -> size and digest."""

    def to_json(self) -> str:
        """Return the text of the file."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, data: bytes) -> "Marker":
        """Parse the file. Raises ValueError when it is no marker."""
        marker = parse_as(_MARKER, data)
        if not all(is_plain_name(name) for name in marker.files):
            raise ValueError("files: a name leaves the folder of the checkpoint")
        return marker


_MARKER = TypeAdapter(Marker)


def checkpoint_folder(step: int) -> str:
    """Return the name of the folder for a step."""
    return f"{_PREFIX}{step}"


def step_of(folder: str) -> int | None:
    """Return the step in the name of a checkpoint's folder; None where it names no step."""
    step = folder.removeprefix(_PREFIX)
    return int(step) if folder.startswith(_PREFIX) and step.isdigit() else None


def write_files(attempt: AttemptFolder, step: int, files: Files) -> dict[str, FileEntry]:
    """Write one rank's files of a checkpoint, make them durable, return their sizes and digests.

    On a remote root the local copies are deleted.
    """
    entries = {}
    folder = f"{FOLDER}/{checkpoint_folder(step)}"
    for name, write in files.items():
        path = attempt.path / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path)
        entries[name] = FileEntry(bytes=path.stat().st_size, xxh3=digest_file(path))
        attempt.publish(f"{folder}/{name}")
        if not attempt.artifact.storage.is_local:
            path.unlink()
    return entries


def mark_complete(attempt: AttemptFolder, marker: Marker, keep: int) -> None:
    """Write the marker, when all that it lists is written; drop all but the newest `keep`."""
    name = f"{FOLDER}/{checkpoint_folder(marker.step)}/{MARKER}"
    path = attempt.path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(marker.to_json(), encoding="utf-8")
    attempt.publish(name)
    _drop_older(attempt, keep)


def _drop_older(attempt: AttemptFolder, keep: int) -> None:
    """Delete older checkpoints; later ones without a marker stay: they are being written."""
    storage, place = attempt.artifact.storage, attempt.path / FOLDER
    steps = sorted(step for path in place.iterdir() if (step := step_of(path.name)) is not None)
    complete = [step for step in steps if (place / checkpoint_folder(step) / MARKER).exists()]
    for step in steps:
        if step < complete[-1] and step not in complete[-keep:]:
            name = checkpoint_folder(step)
            if not storage.is_local:
                storage.remove(f"{attempt.name}/{FOLDER}/{name}")
            shutil.rmtree(place / name, ignore_errors=True)
