"""Deletes the large files of an artifact that was read by all that need it; its record stays.

The record says what is let go before the first file is deleted, so that a kill at any moment leaves
either a whole artifact, or one that is let go and whose last files the next launch deletes.

Launches of other studies may plan on the same artifact at the same moment. Each launch writes its
index first and looks at records afterwards; this writes the record first and looks at the indices
again before it deletes. So one of the two sees the other, without a lock over the whole root.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Annotated, NotRequired

from pydantic import Field, TypeAdapter
from typing_extensions import TypedDict

from cluster.checked_json import read_as
from cluster.disk.disk_faults import ForeignEntry
from cluster.locks.held import Held
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact, LetGo, Record
from jobs.artifacts.claim import free_of_attempts
from jobs.kind import KINDS

_Key = Annotated[str, Field(pattern=r"^[0-9a-f]{16,64}$")]


class _Entry(TypedDict):
    """A job in the index of a study."""

    key: _Key
    """Its key."""
    kind: Annotated[str, Field(pattern=r"^[a-z0-9_-]+$")]
    """Its kind."""
    reads: NotRequired[list[str]]
    """Keys of what it reads that is let go once it was read."""


class _Index(TypedDict):
    """What is to be known of an index."""

    stages: dict[str, list[_Entry]]
    """Stage -> its jobs."""
    until_read: NotRequired[list[str]]
    """Keys of the jobs whose large files go once they were read."""


_INDEX = TypeAdapter(_Index)


@dataclass(frozen=True, kw_only=True)
class Gone:
    """What was let go of one artifact."""

    key: str
    """Key of the job."""
    bytes: int
    """Bytes of the files."""


class LettingGo:
    """Lets artifacts of one study go, while its launch holds the study's lock."""

    def __init__(self, root: Storage, study: str, held: Held | None = None) -> None:
        self.settled: set[str] = set()
        """Keys of jobs of which nothing is left to let go."""
        self._root = root
        self._study = study
        self._held = held or Held()

    def let_go(self, kind: str, key: str, readers: Mapping[str, str]) -> Gone | None:
        """Let the large files of a job go, if all that read them are done; None where they stay.

        Args:
            kind: kind of the job.
            key: its key.
            readers: key -> kind, of the jobs of this study that read them.

        Raises:
            SurroundingsError: the storage does not answer; the same call finishes it later.
        """
        artifact = Artifact(self._root, kind, key)
        present = artifact.find_record()
        if present is None:
            return None
        record, digest = present
        if record.let_go is not None:
            self._delete(artifact, record)
            self.settled.add(key)
            return None
        patterns = KINDS.find(kind).large_files
        names = [name for name in record.files if any(fnmatchcase(name, one) for one in patterns)]
        if not names or not self._are_done(readers, key, digest) or self._is_needed(key, digest):
            return None
        with ExitStack() as kept:
            # No attempt is or can begin at work at it, or at what reads it, while it goes.
            for one in (artifact, *(Artifact(self._root, *pair[::-1]) for pair in readers.items())):
                if not kept.enter_context(free_of_attempts(one)):
                    return None
            if artifact.find_record() != present:
                return None
            self._held.confirm()
            let_go = LetGo(at=time.time(), files=tuple(names), attempts=tuple(artifact.attempts()))
            going = replace(record, let_go=let_go)
            self._root.write(artifact.record_name, going.to_json())
            if self._is_needed(key, digest):
                self._root.write(artifact.record_name, record.to_json())
                return None
            self._delete(artifact, going)
        self.settled.add(key)
        return Gone(key=key, bytes=sum(record.files[name].bytes for name in names))

    def has_begun(self, kind: str, key: str) -> bool:
        """Tell whether some of a job's files were let go, and others are still to be deleted."""
        artifact = Artifact(self._root, kind, key)
        present = artifact.find_record()
        if present is None or present[0].let_go is None:
            return False
        standing = self._root.sizes(artifact.attempt_folder(present[0].attempt))
        return any(name in standing for name in present[0].let_go.files)

    def _delete(self, artifact: Artifact, record: Record) -> None:
        """Delete what a record says is let go, also where a killed launch has begun to."""
        assert record.let_go is not None
        # What they had saved is as large, and of no more use: checkpoints, and what the winner took
        # over by hard links, which takes its room until the last name is gone. An attempt that came
        # later makes the artifact again for another study: what it saved is not ours. The winner's
        # files go last: while there are any, `has_begun` tells that some are left.
        attempts = {*record.let_go.attempts}.intersection(artifact.attempts()) - {record.attempt}
        for attempt in (*sorted(attempts), record.attempt):
            folder = artifact.attempt_folder(attempt)
            if self._root.exists(f"{folder}/checkpoints"):
                self._held.confirm()
                self._root.remove(f"{folder}/checkpoints")
            standing = self._root.sizes(folder)
            for name in record.let_go.files:
                if name in standing:
                    self._held.confirm()
                    self._root.remove(f"{folder}/{name}")

    def _are_done(self, readers: Mapping[str, str], key: str, digest: str) -> bool:
        """Tell whether jobs have records of having read just what stands there now."""
        for reader, kind in readers.items():
            done = Artifact(self._root, kind, reader).find_record()
            if done is None or done[0].inputs.get(key, digest) != digest:
                return False
        return True

    def _is_needed(self, key: str, digest: str) -> bool:
        """Tell whether another study of the root keeps an artifact, or is not through with it."""
        for index in _other_indices(self._root, self._study):
            if index is None:
                return True
            entries = [entry for jobs in index["stages"].values() for entry in jobs]
            if key not in index.get("until_read", ()):
                if any(entry["key"] == key for entry in entries):
                    return True
                continue
            readers = {
                entry["key"]: entry["kind"] for entry in entries if key in entry.get("reads", ())
            }
            if not self._are_done(readers, key, digest):
                return True
        return False


def _other_indices(root: Storage, study: str) -> Iterator[_Index | None]:
    """Yield the indices of the other studies of a root; None for one that cannot be read."""
    for name in root.list("studies"):
        if name == study:
            continue
        try:
            index = read_as(root, f"studies/{name}/index.json", _INDEX)
        except (ValueError, ForeignEntry):
            yield None
            continue
        if index is not None:  # else it was never planned
            yield index


def may_go_meanwhile(root: Storage, study: str, keys: Iterable[str]) -> bool:
    """Tell whether another study of the root may let one of these artifacts go at any moment."""
    wanted = frozenset(keys)
    return bool(wanted) and any(
        index is None or not wanted.isdisjoint(index.get("until_read", ()))
        for index in _other_indices(root, study)
    )
