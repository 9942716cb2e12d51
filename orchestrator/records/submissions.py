"""`studies/<study>/slurm/`: what was handed to a queue, as it was then, and the ids it has there.

The study's text is kept beside it, so that a later edit of the file does not change what is queued.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NotRequired

from pydantic import Field, TypeAdapter
from typing_extensions import TypedDict

from cluster.checked_json import damaged_file, read_as
from cluster.errors import SurroundingsError, unknown_name
from cluster.storage import Storage
from orchestrator.permission.own_files import submissions_place

JobId = Annotated[str, Field(pattern=r"^[0-9]{1,12}$")]


class SubmittedAllocation(TypedDict):
    """One allocation of a submission."""

    stages: list[str]
    """Stages that it is for; empty: all."""
    jobs: list[JobId]
    """Ids in the queue: one, and those that go on where SLURM does not queue one again."""
    nodes: int
    """Number of nodes."""
    partition: str | None
    """Partition; null: the queue's own choice."""
    time: str | None
    """Time limit; null: the partition's own."""
    script: str
    """Path of its batch script."""
    log: str
    """Path of what it prints; `%j` is the job's id."""


class HandedOver(TypedDict):
    """A launch that goes on without the command that began it: in a queue, or detached."""

    id: Annotated[str, Field(pattern=r"^[0-9A-Za-z-]{1,60}$")]
    """Its id; ids sort by time."""
    at: Annotated[float, Field(ge=0, le=1e11)]
    """Seconds since the epoch."""
    profile: str
    """Name of the profile."""
    file: str
    """Name of the study's file, for messages."""
    folder: str
    """Folder that its relative paths start at."""
    entries: dict[str, str]
    """File of each entry that the study brings along -> SHA-256."""
    refused: NotRequired[str | None]
    """Why it was not taken; null or absent: it was."""


class Submission(HandedOver):
    """What one `launch --on` handed to a queue."""

    allocations: list[SubmittedAllocation]
    """Its allocations, in order."""


HINT = "launch the study's own file again"
_HINT_OF_QUEUE = (
    "`squeue --me` shows what is in the queue, and `scancel` takes it out; once nothing of this "
    "study is, delete the folder of that file"
)
_SUBMISSION = TypeAdapter(Submission)


def submissions_folder(study: str) -> str:
    """Return the folder of a study's submissions, relative to the root."""
    return f"studies/{study}/slurm"


def write_submission(root: Storage, study: str, submission: Submission) -> None:
    """Write what was submitted, replacing what was known of it before."""
    name = _file_name(study, submission["id"])
    root.write(name, (json.dumps(submission, indent=1) + "\n").encode())


def kept_study(study: str, submission: str) -> str:
    """Return where the text of a study is kept as it was submitted, relative to the root."""
    return f"{submissions_folder(study)}/{submission}/study.yaml"


def latest_submission(root: Storage, study: str) -> Submission | None:
    """Return what was submitted last and taken; None where nothing was.

    Raises:
        SurroundingsError: what was kept of it is damaged, so that nobody knows what is queued.
    """
    latest: Submission | None = None
    damaged: tuple[str, ValueError] | None = None
    for name in root.list(submissions_folder(study)):
        try:
            submission = _read(root, study, name)
        except ValueError as reason:
            damaged = max(damaged or (name, reason), (name, reason), key=lambda entry: entry[0])
            continue
        if submission is None or submission.get("refused"):
            continue
        if latest is None or submission["at"] > latest["at"]:
            latest = submission
    # Only its name still says when it was.
    if damaged and (latest is None or _moment(damaged[0]) >= _moment(latest["id"])):
        raise _damaged(root, study, *damaged, hint=_HINT_OF_QUEUE)
    return latest


def files_of(root: Storage, study: str, submission: str) -> Path:
    """Return the folder of scripts, logs and states of a submission, which all nodes see.

    It is under the root where that is a path, else in the user's home: clusters share homes.
    """
    if root.is_local:
        return root.path(f"{submissions_folder(study)}/{submission}").resolve()
    return submissions_place() / f"{study}-{submission}"


def mark_stopped(root: Storage, study: str, submission: Submission) -> None:
    """Have no allocation of a submission begin any more, where its folder is to be seen here."""
    folder = files_of(root, study, submission["id"])
    if folder.is_dir():
        (folder / "stopped").write_text("130\n", encoding="ascii")


def job_ids(submission: Submission) -> list[str]:
    """List the ids of a submission in the queue, in order."""
    return [job for allocation in submission["allocations"] for job in allocation["jobs"]]


def read_submission(root: Storage, study: str, submission: str) -> Submission:
    """Return what is known of a submission.

    Raises:
        UserError: there is no such submission.
        SurroundingsError: what was kept of it is damaged.
    """
    try:
        document = _read(root, study, submission)
    except ValueError as reason:
        raise _damaged(root, study, submission, reason, hint=HINT) from None
    if document is None:
        known: Sequence[str] = root.list(submissions_folder(study))
        raise unknown_name("submission", submission, known, where=root.url)
    return document


def _read(root: Storage, study: str, submission: str) -> Submission | None:
    return read_as(root, _file_name(study, submission), _SUBMISSION)


def _damaged(
    root: Storage, study: str, submission: str, reason: ValueError, *, hint: str
) -> SurroundingsError:
    return damaged_file(root, _file_name(study, submission), reason, hint)


def _file_name(study: str, submission: str) -> str:
    return f"{submissions_folder(study)}/{submission}/submission.json"


def _moment(submission: str) -> str:
    """Return the part of an id that sorts by time."""
    return submission.partition("-")[0]
