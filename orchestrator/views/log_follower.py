"""Follows the logs of a job, from attempt to attempt, until no launch is at the job any more.

Every rank of an attempt has a log of its own. One that became shorter, because its middle was left
out or because it was cut, goes on after the last text of it that was shown, where that is in it.
"""

import codecs
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from jobs.artifacts.job import Job
from jobs.worker import attempt_folder
from orchestrator.records.failure import Result
from orchestrator.records.history import HistoryTail
from orchestrator.records.lock import current_holder

_LOOK_EVERY_S = 0.5
_LOOK_AT_REMOTE_EVERY_S = 5.0
"""On a remote root every look costs requests."""
_LOG = re.compile(r"log(?:-rank-(?P<rank>\d+))?\.txt")
_MOST_REMEMBERED = 256
"""Bytes at the end of what was shown that a log is searched for, once it is not what it was."""


@dataclass(frozen=True, kw_only=True)
class Piece:
    """New text of one log."""

    attempt: str
    """Id of the attempt."""
    rank: int
    """The rank that wrote it."""
    text: str
    """The text."""


def log_name(artifact: Artifact, attempt: str, rank: int = 0) -> str:
    """Return the name of the log of a rank of an attempt, relative to the root."""
    return f"{artifact.attempt_folder(attempt)}/{attempt_folder.log_name(rank)}"


def ranks_with_log(artifact: Artifact, attempt: str) -> list[int]:
    """Return the ranks of an attempt that have a log."""
    names = artifact.storage.list(artifact.attempt_folder(attempt))
    return sorted(int(match["rank"] or 0) for name in names if (match := _LOG.fullmatch(name)))


def newest_with_log(artifact: Artifact, rank: int | None = None) -> str | None:
    """Return the newest attempt of which a rank, or any, has a log; None where there is none."""
    for attempt in reversed(artifact.attempts()):
        ranks = ranks_with_log(artifact, attempt)
        if rank in ranks or (rank is None and ranks):
            return attempt
    return None


def follow(
    root: Storage,
    study: str,
    job: Job,
    rank: int | None = 0,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Piece]:
    """Yield new text, from the newest attempt on, until the job has ended.

    Args:
        root: The output root.
        study: Name of the study.
        job: The job.
        rank: The rank whose log is followed; None for all, each in whole lines.
        sleep: Waits for some seconds between two looks.
    """
    artifact, past = Artifact(root, job.kind, job.key), HistoryTail(root, study)
    every_s = _LOOK_EVERY_S if root.is_local else _LOOK_AT_REMOTE_EVERY_S
    logs = _Logs(artifact, None, rank)
    is_over = False
    while True:
        newest = newest_with_log(artifact, rank)
        if newest != logs.attempt:
            yield from logs.rest(is_last=True)  # the end of the attempt that was followed
            logs = _Logs(artifact, newest, rank)
        pieces = list(logs.rest(is_last=is_over))
        yield from pieces
        if is_over and not pieces:
            return
        if not pieces:
            # Checked before the log is read for the last time, or its last lines would be lost.
            is_over = has_ended(root, study, job, past)
            if not is_over:
                sleep(every_s)


def has_ended(root: Storage, study: str, job: Job, past: HistoryTail | None = None) -> bool:
    """Return True when the job is done, failed or cancelled, or no launch is at it."""
    artifact = Artifact(root, job.kind, job.key)
    if artifact.find_record() is not None:
        return True
    if current_holder(root, study) is None:
        return not _is_of_running_launch(root, artifact)
    history = (past or HistoryTail(root, study)).read()
    of_job = history.of_job(job.key)
    if of_job.open_since is not None:
        return False
    assert history.launch is not None or of_job.attempt is None, "an attempt belongs to a launch"
    is_of_this_launch = (
        history.launch is not None
        and of_job.attempt is not None
        and of_job.attempt.startswith(history.launch.launch)
    )
    was_cancelled = is_of_this_launch and of_job.result is Result.CANCELLED
    return was_cancelled or of_job.given_up or of_job.refused is not None


def _is_of_running_launch(root: Storage, artifact: Artifact) -> bool:
    """Return True when the newest attempt belongs to a running launch of any study."""
    attempts = artifact.attempts()
    if not attempts:
        return False
    holders = (current_holder(root, study) for study in root.list("studies"))
    return any(holder is not None and attempts[-1].startswith(holder.launch) for holder in holders)


class _Logs:
    """The logs of one attempt that are followed."""

    def __init__(self, artifact: Artifact, attempt: str | None, rank: int | None) -> None:
        self.attempt = attempt
        self._artifact = artifact
        self._rank = rank
        self._logs: dict[int, _Log] = {}

    def rest(self, *, is_last: bool) -> Iterator[Piece]:
        """Yield what is new; of several logs whole lines, and what is left at last."""
        if self.attempt is None:
            return
        is_all = self._rank is None
        ranks = ranks_with_log(self._artifact, self.attempt) if is_all else [self._rank or 0]
        for rank in ranks:
            if rank not in self._logs:
                name = log_name(self._artifact, self.attempt, rank)
                self._logs[rank] = _Log(self._artifact.storage, name)
            in_lines = len(ranks) > 1 and not is_last
            if text := self._logs[rank].rest(in_lines=in_lines):
                yield Piece(attempt=self.attempt, rank=rank, text=text)


class _Log:
    """One log, and how much of it was shown."""

    def __init__(self, storage: Storage, name: str) -> None:
        self._storage = storage
        self._name = name
        self._shown = 0
        self._end = b""
        """The last bytes before that place."""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""

    def rest(self, *, in_lines: bool) -> str:
        """Return the text that is new; with `in_lines` up to the end of its last whole line."""
        data = self._new_bytes()
        self._end = (self._end + data)[-_MOST_REMEMBERED:]
        text = self._held + self._decoder.decode(data)
        cut = text.rfind("\n") + 1 if in_lines else len(text)
        self._held = text[cut:]
        return text[:cut]

    def _new_bytes(self) -> bytes:
        start = self._shown - len(self._end)
        try:
            if self._storage.is_local:
                with self._storage.open(self._name) as stream:
                    self._shown = stream.seek(0, os.SEEK_END)
                    stream.seek(min(start, self._shown))
                    data = stream.read(self._shown - stream.tell())
                    if data.startswith(self._end):
                        return data[len(self._end) :]
                    stream.seek(0)
                    data = stream.read(self._shown)
            else:
                if self._storage.size(self._name) == self._shown:
                    return b""
                data = self._storage.read(self._name)
                self._shown = len(data)
                if data[start:].startswith(self._end):
                    return data[start + len(self._end) :]
        except FileNotFoundError:
            return b""
        # It was cut, or replaced: it goes on after what was shown last, or begins anew.
        self._decoder.reset()
        _, seen, after = data.rpartition(self._end)
        self._end = seen
        return after if seen else data
