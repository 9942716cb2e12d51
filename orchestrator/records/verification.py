"""Hash every file of a study's artifacts again, list what is damaged, and take it away."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from cluster.disk.disk_faults import ForeignEntry, is_lost
from cluster.errors import SurroundingsError
from cluster.locks.held import Held
from cluster.storage import Storage
from cluster.survey import Survey
from jobs.artifacts.artifact import Artifact, FileEntry, standing_digest
from jobs.artifacts.claim import free_of_attempts
from jobs.artifacts.job import Job
from jobs.worker.attempt_folder import is_private
from jobs.worker.lost_bytes import digest_unless_lost


class FileFault(Enum):
    """What can be wrong with one file; the value is shown to the user."""

    UNREADABLE = "this record is unreadable"
    """The record does not parse, or belongs to another job."""
    MISSING = "missing"
    """The record lists the file, and it does not exist."""
    SIZE = "cut short or grown: its size is not what its record lists"
    """A truncated shard, for one."""
    BYTES = "its bytes are not those its record lists"
    """A flipped bit, for one."""
    LOST = "lost: the disk gives an error in place of its bytes"
    """A bad block, for one."""
    FOREIGN = "foreign: its record does not list it"
    """The file is in the folder of the published attempt, but no attempt of ours wrote it."""


@dataclass(frozen=True, kw_only=True)
class Damage:
    """One damaged file."""

    job: Job
    """The job whose artifact holds the file."""
    name: str
    """The file, relative to the root."""
    fault: FileFault
    """What is wrong with it."""


def find_damage(root: Storage, jobs: Sequence[Job]) -> Iterator[tuple[Job, list[Damage]]]:
    """Check the jobs that have a record, one by one; a job that never ran is not damaged."""
    for job in jobs:
        artifact = Artifact(root, job.kind, job.key)
        data = _bytes_of_record(artifact)
        if data is not None:
            faults = _faults(artifact, data)
            yield job, [Damage(job=job, name=name, fault=faults[name]) for name in sorted(faults)]


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What was taken away before a repair."""

    jobs: Sequence[Job]
    """Jobs whose record was deleted: they are to be done again."""
    aside: Sequence[str]
    """Foreign files, by the names under the root that they were moved to."""
    busy: Sequence[Job]
    """Damaged jobs that were left alone, because an attempt is at work there."""


def take_away(root: Storage, jobs: Sequence[Job], *, aside: str, held: Held | None = None) -> Taken:
    """Take away what is damaged, so that a repair keeps only what is whole.

    Each job is looked at again while no attempt is or can begin at work there: what another launch
    has repaired or replaced meanwhile stays. Damaged files and the record that lists them are
    deleted; foreign files are moved, for they may be somebody's only copy.

    Args:
        root: The output root, whose lock for the study is held.
        jobs: Jobs that were found damaged.
        aside: Folder under the root that foreign files are moved to.
        held: That lock, asked before each job: one that slept meanwhile may have lost it.
    """
    again: list[Job] = []
    moved: list[str] = []
    busy: list[Job] = []
    for job in jobs:
        if held is not None:
            held.check()
        artifact = Artifact(root, job.kind, job.key)
        with free_of_attempts(artifact) as is_free:
            data = _bytes_of_record(artifact) if is_free else None
            if data is None:
                busy += [] if is_free else [job]
                continue
            faults = _faults(artifact, data)
            for name, fault in faults.items():
                if fault is FileFault.FOREIGN:
                    moved.append(f"{aside}/{name}")
                    root.move(name, moved[-1])
                elif fault in (FileFault.SIZE, FileFault.BYTES):
                    _remove_twins(artifact, data, name)
            if not set(faults.values()) <= {FileFault.FOREIGN}:
                _retire(artifact, data)
                again.append(job)
    return Taken(jobs=again, aside=moved, busy=busy)


def _bytes_of_record(artifact: Artifact) -> bytes | None:
    """Read a record; one that the disk has lost gives no bytes, as any other that is none."""
    try:
        return artifact.record_bytes()
    except SurroundingsError as fault:
        if not is_lost(fault):
            raise
        return b""


def _retire(artifact: Artifact, data: bytes) -> None:
    if not data and artifact.storage.size(artifact.record_name):
        artifact.storage.remove(artifact.record_name)  # the disk has lost what it held
    else:
        artifact.retire(data)


def _fault_of_bytes(root: Storage, name: str, entry: FileEntry) -> FileFault | None:
    try:
        return None if standing_digest(root, name) == entry.xxh3 else FileFault.BYTES
    except SurroundingsError as fault:
        if not is_lost(fault):
            raise
        return FileFault.LOST


def _remove_twins(artifact: Artifact, data: bytes, name: str) -> None:
    """Delete a damaged file, also where an earlier attempt has it: a repair would take it over.

    An attempt that began after the one that won has nothing from it but hard links, which are the
    damaged file itself; what it wrote stays.
    """
    record = artifact.parse_record(data)
    if record is None:
        return
    root, inside = (
        artifact.storage,
        name.removeprefix(f"{artifact.attempt_folder(record.attempt)}/"),
    )
    twins = [
        twin
        for attempt in artifact.attempts()
        if (twin := f"{artifact.attempt_folder(attempt)}/{inside}")
        and (attempt <= record.attempt or _is_one_file(root, name, twin))
        and digest_unless_lost(root, twin) not in (None, record.files[inside].xxh3)
    ]
    for twin in twins:
        root.remove(twin)


def _is_one_file(root: Storage, one: str, other: str) -> bool:
    if not root.is_local:
        return False
    try:
        return os.path.samestat(os.lstat(root.path(one)), os.lstat(root.path(other)))
    except OSError:
        return False


def _faults(artifact: Artifact, data: bytes) -> Mapping[str, FileFault]:
    """Return the name relative to the root -> what is wrong with the file."""
    record = artifact.parse_record(data)
    if record is None:
        return {artifact.record_name: FileFault.UNREADABLE}
    folder = artifact.attempt_folder(record.attempt)
    try:
        survey = artifact.storage.survey(folder)
    except ForeignEntry:
        survey = Survey()  # a link in place of the folder: none of its files is there
    sizes = survey.sizes
    present = {*sizes, *survey.odd}
    faults = {
        name: FileFault.FOREIGN for name in present - record.files.keys() if not is_private(name)
    }
    for name, entry in record.standing.items():
        if name not in sizes:
            faults[name] = FileFault.MISSING
        elif sizes[name] != entry.bytes:
            faults[name] = FileFault.SIZE
        elif (fault := _fault_of_bytes(artifact.storage, f"{folder}/{name}", entry)) is not None:
            faults[name] = fault
    return {f"{folder}/{name}": fault for name, fault in faults.items()}
