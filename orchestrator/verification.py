"""Re-hash every file of a study's artifacts and say what is damaged."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cluster.storage import Storage
from jobs.artifact import Artifact
from jobs.job import Job


@dataclass(frozen=True, kw_only=True)
class Damage:
    """One artifact whose bytes are not those its record lists."""

    job: Job
    """The job that made it."""
    what: str
    """The first thing found wrong, with the file's name."""


def find_damage(root: Storage, jobs: Sequence[Job]) -> Iterator[tuple[Job, Damage | None]]:
    """Check the jobs that left a record, one by one; a job that never ran is not damage."""
    for job in jobs:
        artifact = Artifact(root, job.kind, job.key)
        if root.exists(artifact.record_name):
            what = _first_fault(artifact)
            yield job, Damage(job=job, what=what) if what else None


def _first_fault(artifact: Artifact) -> str | None:
    found = artifact.find_record()
    if found is None:
        return f"{artifact.record_name} is unreadable, or a file it lists is missing or cut short"
    for name, entry in found[0].files.items():
        if artifact.standing_digest(name) != entry.xxh3:
            return f"{name} is damaged: its bytes are not those its record lists"
    return None
