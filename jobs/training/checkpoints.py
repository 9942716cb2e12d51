"""Training checkpoints: private to an attempt, believed only behind our own completeness marker.

Hugging Face writes `checkpoint-N` in place, so a killed one looks like a whole one. `COMPLETE.json`
is written last and lists every file with its digest; a folder without it, or with a byte that
differs, is never continued from: the one before it is.
"""

import contextlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.local_disk import link_or_copy
from jobs.artifact import digest_file
from jobs.work import AttemptFolder

FOLDER = "checkpoints"
"""Where an attempt keeps them."""
MARKER = "COMPLETE.json"
_PREFIX = "checkpoint-"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A folder that is complete."""

    step: int
    """Optimizer steps done."""
    path: Path
    """The folder."""


def checkpoint_folder(step: int) -> str:
    """Name of the folder for a step, as the Hugging Face Trainer spells it."""
    return f"{_PREFIX}{step}"


def complete(attempt: AttemptFolder, step: int, keep: int) -> Checkpoint:
    """Make a written checkpoint durable, mark it complete, and drop all but the newest `keep`."""
    name = f"{FOLDER}/{checkpoint_folder(step)}"
    folder = attempt.path / name
    attempt.publish(name)
    files = {
        path.relative_to(folder).as_posix(): {
            "bytes": path.stat().st_size,
            "xxh3": digest_file(path),
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    marker = {"step": step, "files": files}
    (folder / MARKER).write_text(json.dumps(marker, indent=1), encoding="utf-8")
    attempt.publish(f"{name}/{MARKER}")
    _drop_older(attempt, keep)
    return Checkpoint(step=step, path=folder)


def adopt_newest(attempt: AttemptFolder) -> Checkpoint | None:
    """Bring the newest complete checkpoint of this job's earlier attempts into this attempt.

    It is linked before it is checked: the attempt that wrote it may still be alive and dropping its
    older ones. None when there is no complete one.
    """
    for step, folder in _candidates(attempt.earlier(FOLDER)):
        target = attempt.path / FOLDER / checkpoint_folder(step)
        with contextlib.suppress(OSError, shutil.Error):
            shutil.copytree(folder, target, copy_function=link_or_copy)
        if is_complete(target, step):
            return Checkpoint(step=step, path=target)
        shutil.rmtree(target, ignore_errors=True)
    return None


def is_complete(folder: Path, step: int) -> bool:
    """True when the marker stands and every file it lists has the bytes it lists."""
    try:
        marker = json.loads((folder / MARKER).read_text(encoding="utf-8"))
        return bool(marker["step"] == step) and all(
            (folder / name).stat().st_size == entry["bytes"]
            and digest_file(folder / name) == entry["xxh3"]
            for name, entry in marker["files"].items()
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _candidates(folders: Sequence[Path]) -> list[tuple[int, Path]]:
    """(step, folder) of everything that may be one, newest step first, latest attempt first."""
    found = [
        (int(path.name.removeprefix(_PREFIX)), order, path)
        for order, folder in enumerate(folders)
        for path in folder.glob(f"{_PREFIX}*")
        if path.name.removeprefix(_PREFIX).isdigit()
    ]
    return [(step, path) for step, _, path in sorted(found, reverse=True)]


def _drop_older(attempt: AttemptFolder, keep: int) -> None:
    storage = attempt.artifact.storage
    for step, folder in _candidates([attempt.path / FOLDER])[keep:]:
        if not storage.is_local:
            storage.remove(f"{attempt.name}/{FOLDER}/{checkpoint_folder(step)}")
        shutil.rmtree(folder, ignore_errors=True)
