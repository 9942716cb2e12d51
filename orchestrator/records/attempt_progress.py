"""The progress that running attempts last wrote."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

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


class Stop(Enum):
    """How an attempt that was asked to stop came to its end."""

    SAVED = "it saved its work and stopped"
    """By itself."""
    INTERRUPTED = "it was interrupted"
    """At once: it does not ask whether it should stop, or did not yet."""
    ENDED = "it did not stop in time, and was ended"
    """Its process was."""


def what_was_saved(storage: Storage, job: Job, attempt: str, stop: Stop) -> str:
    """Say how far an attempt was that was asked to stop, and what its job goes on from."""
    fraction = read_progress(storage, job, [attempt]).fraction
    at = "" if fraction is None else f" at {fraction:.0%}"
    checkpoint = _last_checkpoint(storage, job, attempt)
    kept = f"; {checkpoint} is kept" if checkpoint else ""
    if stop is not Stop.SAVED:
        kept = kept or "; what it had saved is kept"
    return f"{stop.value}{at}{kept}"


def _last_checkpoint(storage: Storage, job: Job, attempt: str) -> str | None:
    """Return the name of the newest checkpoint that an attempt has finished; None without one."""
    folder = f"{Artifact(storage, job.kind, job.key).attempt_folder(attempt)}/checkpoints"
    names = [name for name in storage.list(folder) if name.rpartition("-")[2].isdecimal()]
    for name in sorted(names, key=lambda name: -int(name.rpartition("-")[2])):
        if storage.exists(f"{folder}/{name}/COMPLETE.json"):
            return name
    return None


def _read_attempt(storage: Storage, job: Job, attempt: str) -> Progress:
    folder = Artifact(storage, job.kind, job.key).attempt_folder(attempt)
    try:
        return read_as(storage, f"{folder}/progress.json", _PROGRESS) or Progress()
    except ValueError:
        return Progress()
