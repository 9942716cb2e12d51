"""The progress that running attempts last wrote."""

import json
from collections.abc import Iterable
from typing import Any

from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from jobs.artifacts.job import Job


def read_progress(storage: Storage, job: Job, attempts: Iterable[str]) -> dict[str, Any]:
    """Read what the attempts at a job last wrote, `{fraction, doing, at}`; empty without any.

    Of several workers, each of which counts what the others have finished, the foremost counts.
    """
    written = [progress for attempt in attempts if (progress := _read_one(storage, job, attempt))]
    return max(written, key=lambda progress: progress.get("fraction") or 0.0, default={})


def _read_one(storage: Storage, job: Job, attempt: str) -> dict[str, Any] | None:
    folder = Artifact(storage, job.kind, job.key).attempt_folder(attempt)
    try:
        progress = json.loads(storage.read(f"{folder}/progress.json"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return progress if isinstance(progress, dict) else None
