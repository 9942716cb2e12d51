"""The progress that running attempts last wrote."""

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import ConfigDict, TypeAdapter, with_config

from cluster.checked_json import read_as
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from jobs.artifacts.job import Job


@with_config(ConfigDict(allow_inf_nan=False))
@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far an attempt is."""

    fraction: float | None = None
    """Share of the work that is done, from 0 to 1; None if not known."""
    doing: str | None = None
    """What the attempt is at, in a few words."""


_PROGRESS = TypeAdapter(Progress)


def read_progress(storage: Storage, job: Job, attempts: Iterable[str]) -> Progress:
    """Read what the attempts at a job last wrote.

    Of several workers, each of which counts what the others have finished, the foremost counts.
    """
    written = [_read_attempt(storage, job, attempt) for attempt in attempts]
    return max(
        (progress for progress in written if progress != Progress()),
        key=lambda progress: progress.fraction or 0.0,
        default=Progress(),
    )


def _read_attempt(storage: Storage, job: Job, attempt: str) -> Progress:
    folder = Artifact(storage, job.kind, job.key).attempt_folder(attempt)
    try:
        return read_as(storage, f"{folder}/progress.json", _PROGRESS) or Progress()
    except ValueError:
        return Progress()
