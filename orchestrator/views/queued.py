"""What goes on of a study without the command that began it: in a queue, or detached.

Of a queue SLURM is asked, where it answers at once; of a detached launch the root knows all.
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from cluster.errors import SurroundingsError
from cluster.slurm.queue import QueuedJob, look
from cluster.storage import Storage
from orchestrator.detached.following import follow_detached
from orchestrator.records.submissions import Submission, files_of, job_ids, latest_submission


def queue_of(root: Storage, study: str) -> dict[str, Any] | None:
    """Return what is known of what was handed over last as JSON; None where nothing was.

    Args:
        root: the output root.
        study: name of the study.
    """
    try:
        detached = follow_detached(root, study)
    except SurroundingsError as fault:
        return _unknown("detached", fault)
    try:
        submission = latest_submission(root, study)
    except SurroundingsError as fault:
        return _unknown("SLURM", fault)
    if submission is None or (detached is not None and detached["at"] > submission["at"]):
        return detached
    jobs = look(job_ids(submission))
    allocations = [
        _allocation(submission, number, jobs, files_of(root, study, submission["id"]))
        for number in range(1, len(submission["allocations"]) + 1)
    ]
    current = next((one for one in allocations if one["ended"] is None), allocations[-1])
    return {
        "submission": submission["id"],
        "job": submission["allocations"][0]["jobs"][0] if job_ids(submission) else None,
        "profile": submission["profile"],
        "is_queued": any(not job.is_over for job in jobs.values()),
        "line": _line(current, len(allocations)),
        "allocations": allocations,
    }


def _unknown(what: str, fault: SurroundingsError) -> dict[str, Any]:
    """Say that nobody knows what is in the queue, and what to do."""
    return {
        "submission": None,
        "job": None,
        "profile": None,
        "is_queued": False,
        "line": f"{what}: {fault.error}: {fault.hint}",
        "allocations": [],
    }


def _allocation(
    submission: Submission, number: int, jobs: Mapping[str, QueuedJob], files: Path
) -> dict[str, Any]:
    """Describe one allocation: the job of it that is or was last in the queue."""
    allocation = submission["allocations"][number - 1]
    known = [jobs[job] for job in allocation["jobs"] if job in jobs]
    alive = [job for job in known if not job.is_over]
    # Spare jobs of a chain are cancelled once one before them has finished the part.
    ran = [job for job in known if job.state != "CANCELLED"]
    job = next(iter(alive or ran[-1:] or known[-1:]), None)
    folder = files / str(number)
    return {
        "number": number,
        "jobs": allocation["jobs"],
        "stages": allocation["stages"],
        "state": job.state if job else None,
        "says": job.describe() if job else None,
        "ended": _code(folder / "ended"),
        "has_started": (folder / "started").exists(),
        "log": allocation["log"],
    }


def _line(allocation: dict[str, Any], total: int) -> str:
    """Say where the allocation that matters now stands, from the queue or else from its files."""
    part = f" (allocation {allocation['number']} of {total})" if total > 1 else ""
    ids = allocation["jobs"]
    if allocation["says"]:
        return f"SLURM: job {allocation['says']}{part}"
    job = f"job {ids[0]}" if ids else "a job"
    if allocation["ended"] is not None:
        return f"SLURM: {job} ended with code {allocation['ended']}{part}"
    begun = "has begun" if allocation["has_started"] else "has not begun as far as is known"
    return f"SLURM: {job} {begun}{part}; the queue says nothing of it here"


def _code(path: Path) -> int | None:
    with suppress(OSError, ValueError):
        return int(path.read_text(encoding="ascii")[:8])
    return None
