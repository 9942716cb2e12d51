"""Follows what a job prints, from attempt to attempt, until no launch is at it any more."""

import codecs
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
    """Where an attempt's log lies, relative to the root."""
    return f"{artifact.attempt_folder(attempt)}/log.txt"


def attempts_with_log(artifact: Artifact) -> list[str]:
    """Attempts that printed something, oldest first."""
    return [
        attempt
        for attempt in artifact.attempts()
        if artifact.storage.exists(log_name(artifact, attempt))
    ]


def follow(root: Storage, study: str, job: Job) -> Iterator[tuple[str, str]]:
    """Attempt and new text, newest attempt first seen onwards; ends when the job has ended."""
    artifact = Artifact(root, job.kind, job.key)
    attempt, shown = "", 0
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    is_over = False
    while True:
        newest = attempts_with_log(artifact)[-1:]
        if newest and newest[0] != attempt:
            attempt, shown = newest[0], 0
            decoder.reset()
        data = _rest(root, log_name(artifact, attempt), shown) if attempt else b""
        shown += len(data)
        if data:
            yield attempt, decoder.decode(data)
        elif is_over:
            return
        else:
            # Asked before the last look at the log, or its last lines would be lost.
            is_over = has_ended(root, study, job)
            if not is_over:
                time.sleep(_LOOK_EVERY_S)


def has_ended(root: Storage, study: str, job: Job) -> bool:
    """True when the job is done, has failed or was cancelled, or no launch is at it."""
    artifact = Artifact(root, job.kind, job.key)
    if artifact.find_record() is not None:
        return True
    if current_holder(root, study) is None:
        return not _is_at_another_study(root, artifact)
    history = gather(read_events(root, study))
    past = history.of(job.key)
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


def _is_at_another_study(root: Storage, artifact: Artifact) -> bool:
    """True when the newest attempt belongs to a launch, of whatever study, that is running."""
    attempts = artifact.attempts()
    if not attempts:
        return False
    holders = (current_holder(root, study) for study in root.list("studies"))
    return any(holder is not None and attempts[-1].startswith(holder.launch) for holder in holders)


def _rest(root: Storage, name: str, start: int) -> bytes:
    """Bytes of a log from `start`; on a local root the others are not even read."""
    try:
        if not root.is_local:
            return root.read(name)[start:]
        with open(root.path(name), "rb") as stream:
            stream.seek(start)
            return stream.read()
    except FileNotFoundError:
        return b""
