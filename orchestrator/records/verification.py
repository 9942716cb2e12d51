"""Hash every file of a study's artifacts again, list what is damaged, and delete it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact, standing_digest
from jobs.artifacts.job import Job
from jobs.worker.work import is_private


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
        data = artifact.record_bytes()
        if data is not None:
            faults = _faults(artifact, data)
            yield job, [Damage(job=job, name=name, fault=faults[name]) for name in sorted(faults)]


def take_away(root: Storage, damages: Sequence[Damage]) -> None:
    """Delete damaged and foreign files, so that a repair keeps only what is whole.

    A damaged file that an earlier attempt shares (a hard link) is deleted there too, because the
    repair would copy it from there. Records stay until the launch that repairs deletes them.
    """
    for damage in damages:
        if damage.fault is FileFault.FOREIGN:
            root.remove(damage.name)
        elif damage.fault in (FileFault.SIZE, FileFault.BYTES):
            _remove_twins(root, damage)


def _remove_twins(root: Storage, damage: Damage) -> None:
    artifact = Artifact(root, damage.job.kind, damage.job.key)
    record = artifact.parse_record(artifact.record_bytes() or b"")
    assert record is not None, "only an artifact with a record has damaged files"
    inside = damage.name.removeprefix(f"{artifact.attempt_folder(record.attempt)}/")
    for attempt in artifact.attempts():
        twin = f"{artifact.attempt_folder(attempt)}/{inside}"
        if standing_digest(root, twin) not in (None, record.files[inside].xxh3):
            root.remove(twin)


def _faults(artifact: Artifact, data: bytes) -> Mapping[str, FileFault]:
    """Return the name relative to the root -> what is wrong with the file."""
    record = artifact.parse_record(data)
    if record is None:
        return {artifact.record_name: FileFault.UNREADABLE}
    folder = artifact.attempt_folder(record.attempt)
    sizes = artifact.storage.sizes(folder)
    faults = {
        name: FileFault.FOREIGN
        for name in sizes.keys() - record.files.keys()
        if not is_private(name)
    }
    for name, entry in record.files.items():
        if name not in sizes:
            faults[name] = FileFault.MISSING
        elif sizes[name] != entry.bytes:
            faults[name] = FileFault.SIZE
        elif standing_digest(artifact.storage, f"{folder}/{name}") != entry.xxh3:
            faults[name] = FileFault.BYTES
    return {f"{folder}/{name}": fault for name, fault in faults.items()}
