"""The newest checkpoint of a job's earlier attempts that a run can continue from.

The first rank looks for checkpoints and all ranks agree on one. On a local root its files are
linked into this attempt, on a remote one each machine fetches them once.
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cluster.disk.durable import link_or_copy
from cluster.errors import SurroundingsError
from jobs.artifacts.artifact import digest_file
from jobs.training.layout import Layout
from jobs.training.resume.checkpoint_files import FOLDER, MARKER, Marker, checkpoint_folder, step_of
from jobs.worker import ranks
from jobs.worker.attempt_folder import AttemptFolder


@dataclass(frozen=True, kw_only=True)
class TrainingCheckpoint:
    """A checkpoint that is whole, and can be continued from."""

    path: Path
    """The folder, as this rank reads it."""
    marker: Marker
    """The parsed `COMPLETE.json`."""
    attempt: str
    """The attempt that had it."""


def adopt_newest(
    attempt: AttemptFolder,
    layout: Layout,
    goes_along: Callable[[TrainingCheckpoint], bool] = lambda checkpoint: True,
) -> tuple[TrainingCheckpoint | None, str | None]:
    """Bring the newest checkpoint that this layout can continue into this attempt; all ranks call.

    The folder is linked before it is checked: the attempt that wrote it may still be alive and
    dropping its older ones.

    Args:
        attempt: what it is brought into.
        layout: of the run.
        goes_along: brings what belongs to a checkpoint besides, on each rank; False where that is
            not whole on this one.

    Returns:
        What the run continues from (None starts it at step 0), and why it does not continue from a
        newer one (None where there is none).
    """
    refused = None
    candidates = list(_candidates(attempt)) if ranks.is_first() else []
    for other, marker in ranks.gathered(candidates, may_take_long=True)[0]:
        reason = layout.cannot_continue(marker.layout)
        if reason is not None:
            refused = refused or f"checkpoint of step {marker.step}: {reason}"
            continue
        path = _adopt(attempt, other, marker)
        if path is None:
            continue
        checkpoint = TrainingCheckpoint(path=path, marker=marker, attempt=other)
        if all(ranks.gathered(goes_along(checkpoint), may_take_long=True)):
            return checkpoint, refused
        refused = refused or f"checkpoint of step {marker.step}: a snapshot before it is not whole"
    return None, refused


def _candidates(attempt: AttemptFolder) -> Iterator[tuple[str, Marker]]:
    """Yield (earlier attempt, readable marker), newest step first, latest attempt first."""
    storage = attempt.artifact.storage
    folders = [
        (step, order, other, name)
        for order, other in enumerate(attempt.others())
        for name in storage.list(f"{attempt.artifact.attempt_folder(other)}/{FOLDER}")
        if (step := step_of(name)) is not None
    ]
    for step, _, other, name in sorted(folders, reverse=True):
        with contextlib.suppress(OSError, ValueError):
            data = attempt.read_other(other, f"{FOLDER}/{name}/{MARKER}")
            if data is not None and (marker := Marker.from_json(data)).step == step:
                yield other, marker


def _adopt(attempt: AttemptFolder, other: str, marker: Marker) -> Path | None:
    """Return where this rank reads a folder that all ranks find whole; each checks some files."""
    is_local = attempt.artifact.storage.is_local
    name = checkpoint_folder(marker.step)
    target = attempt.path / FOLDER / name
    if ranks.is_first() or (not is_local and ranks.local_rank() == 0):
        _copy_folder(attempt, other, name)
    # Ranks on one machine are neighbours in number; the first of them has it.
    reader = 0 if is_local else ranks.rank() - ranks.local_rank()
    path: Path = ranks.gathered(target, may_take_long=True)[reader]
    names = sorted(marker.files)
    if is_local:
        names = names[ranks.rank() :: ranks.num_ranks()]
    elif ranks.local_rank():
        names = []
    if all(ranks.gathered(_is_whole(path, marker, names), may_take_long=True)):
        return path
    if path == target:
        shutil.rmtree(target, ignore_errors=True)
    ranks.barrier()
    return None


def _copy_folder(attempt: AttemptFolder, other: str, name: str) -> None:
    """Link or fetch a folder of another attempt into this one, as far as it is still there."""
    storage = attempt.artifact.storage
    theirs = f"{attempt.artifact.attempt_folder(other)}/{FOLDER}/{name}"
    target = attempt.path / FOLDER / name
    with contextlib.suppress(OSError, shutil.Error, SurroundingsError):
        if storage.is_local:
            shutil.copytree(
                storage.path(theirs), target, copy_function=link_or_copy, ignore=_links_in
            )
            return
        for file in storage.walk(theirs):
            local = target / file[len(theirs) + 1 :]
            local.parent.mkdir(parents=True, exist_ok=True)
            storage.download(file, local)


def _links_in(folder: str, names: list[str]) -> list[str]:
    """Return the links in a folder: none is ours, and none is followed out of the root."""
    return [name for name in names if os.path.islink(os.path.join(folder, name))]


def _is_whole(folder: Path, marker: Marker, names: Iterable[str]) -> bool:
    """Return whether the files of these names have the bytes that the marker lists."""
    try:
        return all(
            (folder / name).stat().st_size == marker.files[name].bytes
            and digest_file(folder / name) == marker.files[name].xxh3
            for name in names
        )
    except OSError:
        return False
