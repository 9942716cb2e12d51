"""Puts the allocations of a submission into the queue, all of them or none, and never twice."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.errors import DeltascaleError, SurroundingsError
from cluster.fault_classes import FaultClass
from cluster.slurm import queue
from cluster.slurm.batch_request import BatchRequest
from cluster.slurm.commands import has_command
from cluster.slurm.submission import submit
from cluster.storage import Storage
from orchestrator.console import note
from orchestrator.dispatch.interruption import handle_signals
from orchestrator.plan.allocations import Allocation
from orchestrator.records.submissions import (
    Submission,
    SubmittedAllocation,
    files_of,
    job_ids,
    latest_submission,
    mark_stopped,
    write_submission,
)

_SPARE = 4
"""Jobs that follow each other where a queue turns out to forbid what the profile asks for."""


@dataclass(frozen=True, kw_only=True)
class PreparedAllocation:
    """One allocation, ready to be submitted."""

    allocation: Allocation
    """Its stages and nodes."""
    request: BatchRequest
    """What is asked for."""
    script: Path
    """Its batch script."""


def require_not_queued(root: Storage, study: str) -> None:
    """Refuse to queue a study twice: the second would wait, and then find the study's lock held.

    Raises:
        SurroundingsError: it is in the queue; or SLURM does not say, and it may be.
    """
    submission = latest_submission(root, study)
    if submission is None:
        return
    scripts = [allocation["script"] for allocation in submission["allocations"]]
    try:
        alive = queue.alive(job_ids(submission), scripts)
    except SurroundingsError as fault:
        if _is_over(root, study, submission):
            return
        raise SurroundingsError(
            f"{study!r} was handed to the queue before, and SLURM does not say whether it is "
            f"still there: {fault.error}",
            where=fault.where,
            hint=fault.hint or "try again in a minute",
            fault_class=FaultClass.CLUSTER,
        ) from fault
    if alive:
        raise SurroundingsError(
            f"{study!r} is in the queue already: {alive[0].describe()}",
            where="SLURM",
            hint=f"watch it with `deltascale status {study}`, or take it out of the queue with "
            f"`deltascale cancel {study} --scancel`",
            fault_class=FaultClass.NO_ROOM,
            code="study-running",
        )


def _is_over(root: Storage, study: str, submission: Submission) -> bool:
    """Tell whether no allocation of a submission does anything any more, by its own files."""
    folder, parts = files_of(root, study, submission["id"]), len(submission["allocations"])
    ended = (folder / str(number) / "ended" for number in range(1, parts + 1))
    return (folder / "stopped").exists() or all(file.exists() for file in ended)


def submit_all(
    root: Storage,
    study: str,
    submission: Submission,
    prepared: Sequence[PreparedAllocation],
    *,
    chain: int,
) -> None:
    """Queue the allocations one behind another, and write every id as soon as it is known.

    Where one is refused, or the user interrupts, what was queued is taken back.

    Args:
        root: the output root.
        study: name of the study.
        submission: what is known of it; gets the ids.
        prepared: its allocations, in order.
        chain: how many jobs of one allocation follow each other.
    """
    before: list[str] = []
    try:
        with handle_signals() as signals:  # the id of a job is not lost to a signal
            for one, document in zip(prepared, submission["allocations"], strict=True):
                length = chain
                while len(document["jobs"]) < length:
                    is_retry = bool(document["jobs"])
                    job = submit(one.request, str(one.script), after=before, is_retry=is_retry)
                    before = [job]
                    _remember(root, study, submission, one, document, job)
                    if signals.requested:
                        raise KeyboardInterrupt
                    if length == 1 and not queue.is_requeue_allowed(job):
                        note(
                            "SLURM does not queue jobs again here: "
                            f"{_SPARE} jobs follow each other instead (say again: chain)"
                        )
                        length = _SPARE
    except BaseException as fault:
        _take_back(root, study, submission, fault)
        raise


def _remember(
    root: Storage,
    study: str,
    submission: Submission,
    prepared: PreparedAllocation,
    document: SubmittedAllocation,
    job: str,
) -> None:
    document["jobs"].append(job)
    write_submission(root, study, submission)
    with Path(prepared.request.state_folder, "jobs").open("a", encoding="ascii") as file:
        file.write(f"{job}\n")


def _take_back(root: Storage, study: str, submission: Submission, fault: BaseException) -> None:
    """Take all of a submission out of the queue, and note that it was not taken.

    A job whose id nobody learned, because sbatch did not answer, is sought by its script; where
    SLURM does not tell, it does nothing once it begins.
    """
    mark_stopped(root, study, submission)
    jobs = job_ids(submission)
    try:
        scripts = [allocation["script"] for allocation in submission["allocations"]]
        jobs = list(dict.fromkeys([*jobs, *queue.ids_of_scripts(scripts)]))
    except SurroundingsError as silence:
        if has_command("squeue"):
            note(f"warning: a job may be in the queue that ends as it begins: {silence.error}")
    try:
        queue.cancel(jobs)
    except SurroundingsError as silence:
        note(f"warning: {', '.join(jobs)} may still be in the queue: {silence.error}")
    else:
        submission["refused"] = (
            fault.error if isinstance(fault, DeltascaleError) else type(fault).__name__
        )
    write_submission(root, study, submission)
