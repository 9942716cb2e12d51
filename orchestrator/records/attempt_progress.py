"""What a running attempt last wrote of its progress."""

import json
from collections.abc import Iterable
from typing import Any

from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from jobs.artifacts.job import Job


def read_progress(storage: Storage, job: Job, attempts: Iterable[str]) -> dict[str, Any]:
    """What the attempts at a job last said, `{fraction, doing, at}`; empty when nothing.

    Of several workers, each of which counts what the others have finished, the foremost speaks.
    """
    said = [found for attempt in attempts if (found := _said(storage, job, attempt))]
    return max(said, key=lambda one: one.get("fraction") or 0.0, default={})


def _said(storage: Storage, job: Job, attempt: str) -> dict[str, Any] | None:
    folder = Artifact(storage, job.kind, job.key).attempt_folder(attempt)
    try:
        said = json.loads(storage.read(f"{folder}/progress.json"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return said if isinstance(said, dict) else None
