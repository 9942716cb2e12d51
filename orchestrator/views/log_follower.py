"""Follows the log of a job, from attempt to attempt, until no launch is at the job any more."""

import codecs
import os
import time
from collections.abc import Iterator

from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from jobs.artifacts.job import Job
from orchestrator.records.failure import Result
from orchestrator.records.history import gather
from orchestrator.records.ledger import read_events
from orchestrator.records.lock import current_holder

_LOOK_EVERY_S = 0.5


def log_name(artifact: Artifact, attempt: str) -> str:
    """Return the name of an attempt's log, relative to the root."""
    return f"{artifact.attempt_folder(attempt)}/log.txt"


def attempts_with_log(artifact: Artifact) -> list[str]:
    """Return the attempts that have a log, oldest first."""
    return [
        attempt
        for attempt in artifact.attempts()
        if artifact.storage.exists(log_name(artifact, attempt))
    ]


def follow(root: Storage, study: str, job: Job) -> Iterator[tuple[str, str]]:
    """Yield attempt and new text, from the newest attempt on, until the job has ended."""
    artifact = Artifact(root, job.kind, job.key)
    attempt, offset = "", 0
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    is_over = False
    while True:
        newest = attempts_with_log(artifact)[-1:]
        if newest and newest[0] != attempt:
            attempt, offset = newest[0], 0
            decoder.reset()
        data, offset = _rest(root, log_name(artifact, attempt), offset) if attempt else (b"", 0)
        if data:
            yield attempt, decoder.decode(data)
        elif is_over:
            return
        else:
            # Checked before the log is read for the last time, or its last lines would be lost.
            is_over = has_ended(root, study, job)
            if not is_over:
                time.sleep(_LOOK_EVERY_S)


def has_ended(root: Storage, study: str, job: Job) -> bool:
    """Return True when the job is done, failed or cancelled, or no launch is at it."""
    artifact = Artifact(root, job.kind, job.key)
    if artifact.find_record() is not None:
        return True
    if current_holder(root, study) is None:
        return not _is_of_running_launch(root, artifact)
    history = gather(read_events(root, study))
    past = history.of_job(job.key)
    if past.open_since is not None:
        return False
    assert history.launch is not None or past.attempt is None, "an attempt belongs to a launch"
    is_of_this_launch = (
        history.launch is not None
        and past.attempt is not None
        and past.attempt.startswith(history.launch.launch)
    )
    was_cancelled = is_of_this_launch and past.result is Result.CANCELLED
    return was_cancelled or past.given_up or past.refused is not None


def _is_of_running_launch(root: Storage, artifact: Artifact) -> bool:
    """Return True when the newest attempt belongs to a running launch of any study."""
    attempts = artifact.attempts()
    if not attempts:
        return False
    holders = (current_holder(root, study) for study in root.list("studies"))
    return any(holder is not None and attempts[-1].startswith(holder.launch) for holder in holders)


def _rest(root: Storage, name: str, start: int) -> tuple[bytes, int]:
    """Read the bytes of a log from `start`, on a local root only those; and where they end.

    A log that became shorter has lost its middle: what comes next is shown from its end on.
    """
    try:
        if not root.is_local:
            whole = root.read(name)
            return whole[start:], len(whole)
        with root.open(name) as stream:
            start = min(start, stream.seek(0, os.SEEK_END))
            stream.seek(start)
            data = stream.read()
            return data, start + len(data)
    except FileNotFoundError:
        return b"", start
