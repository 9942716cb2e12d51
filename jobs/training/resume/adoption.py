"""Where a run goes on: the newest checkpoint of this job's earlier attempts that can be continued.

The first rank looks for them and all ranks agree on one. On a local root its files are linked into
this attempt, on a remote one each machine fetches them once.
"""

import contextlib
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cluster.errors import SurroundingsError
from cluster.local_disk import link_or_copy
from jobs.artifacts.artifact import digest_file
from jobs.training.layout import Layout
from jobs.training.resume.checkpoints import FOLDER, MARKER, Marker, step_of
from jobs.worker import ranks
from jobs.worker.work import AttemptFolder


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """One that is whole, and can be continued from."""

    path: Path
    """The folder, as this rank reads it."""
    marker: Marker
    """What its marker says."""


@dataclass(frozen=True, kw_only=True)
class Adopted:
    """Where a run goes on."""

    checkpoint: Checkpoint | None
    """What it continues from; None starts it at step 0."""
    refused: str | None
    """Why it does not continue from what is newer; None where nothing is."""


@dataclass(frozen=True, kw_only=True)
class _Candidate:
    """A folder of an earlier attempt that has a marker."""

    attempt: str
    """The attempt."""
    name: str
    """Its name."""
    marker: Marker
    """What it should hold."""


def adopt_newest(attempt: AttemptFolder, layout: Layout) -> Adopted:
    """Bring the newest checkpoint that this layout can continue into this attempt; all ranks call.

    It is linked before it is checked: the attempt that wrote it may still be alive and dropping its
    older ones.
    """
    refused = None
    known = _candidates(attempt) if ranks.is_first() else []
    for found in ranks.gathered(known, may_take_long=True)[0]:
        reason = layout.cannot_continue(found.marker.layout)
        if reason is not None:
            refused = refused or f"checkpoint of step {found.marker.step}: {reason}"
            continue
        path = _adopted(attempt, found)
        if path is not None:
            return Adopted(checkpoint=Checkpoint(path=path, marker=found.marker), refused=refused)
    return Adopted(checkpoint=None, refused=refused)


def _candidates(attempt: AttemptFolder) -> list[_Candidate]:
    """What has a marker that can be read, newest step first, latest attempt first."""
    storage = attempt.artifact.storage
    found = [
        (step, order, other, name)
        for order, other in enumerate(attempt.others())
        for name in storage.list(f"{attempt.artifact.attempt_folder(other)}/{FOLDER}")
        if (step := step_of(name)) is not None
    ]
    return [
        _Candidate(attempt=other, name=name, marker=marker)
        for step, _, other, name in sorted(found, reverse=True)
        for marker in _markers(attempt, other, name)
        if marker.step == step
    ]


def _markers(attempt: AttemptFolder, other: str, name: str) -> Iterator[Marker]:
    """The marker of a folder, if there is one."""
    with contextlib.suppress(OSError, ValueError):
        data = attempt.read_other(other, f"{FOLDER}/{name}/{MARKER}")
        if data is not None:
            yield Marker.from_json(data)


def _adopted(attempt: AttemptFolder, found: _Candidate) -> Path | None:
    """Where this rank reads it, when all ranks find it whole; each looks at a part."""
    is_local = attempt.artifact.storage.is_local
    target = attempt.path / FOLDER / found.name
    if ranks.is_first() or (not is_local and ranks.local_rank() == 0):
        _bring(attempt, found.attempt, found.name)
    # Ranks on one machine are neighbours in number; the first of them has it.
    reader = 0 if is_local else ranks.rank() - ranks.local_rank()
    path: Path = ranks.gathered(target, may_take_long=True)[reader]
    names = sorted(found.marker.files)
    if is_local:
        names = names[ranks.rank() :: ranks.num_ranks()]
    elif ranks.local_rank():
        names = []
    if all(ranks.gathered(_is_whole(path, found.marker, names), may_take_long=True)):
        return path
    if path == target:
        shutil.rmtree(target, ignore_errors=True)
    ranks.barrier()
    return None


def _bring(attempt: AttemptFolder, other: str, name: str) -> None:
    """Put a folder of another attempt under the same name into this one; what is gone is left."""
    storage = attempt.artifact.storage
    theirs = f"{attempt.artifact.attempt_folder(other)}/{FOLDER}/{name}"
    target = attempt.path / FOLDER / name
    with contextlib.suppress(OSError, shutil.Error, SurroundingsError):
        if storage.is_local:
            shutil.copytree(storage.path(theirs), target, copy_function=link_or_copy)
            return
        for file in storage.walk(theirs):
            local = target / file[len(theirs) + 1 :]
            local.parent.mkdir(parents=True, exist_ok=True)
            storage.download(file, local)


def _is_whole(folder: Path, marker: Marker, names: Iterable[str]) -> bool:
    """True when the files of these names have the bytes that the marker lists."""
    try:
        return all(
            (folder / name).stat().st_size == marker.files[name].bytes
            and digest_file(folder / name) == marker.files[name].xxh3
            for name in names
        )
    except OSError:
        return False
