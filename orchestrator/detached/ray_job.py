"""Detaches a launch on a Ray: one of its jobs, which runs on the head and is lost with it."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from cluster.delivery.packages import keep_packages
from cluster.detached.ray_job import JobRuns, RayJob, submit_job
from cluster.errors import SurroundingsError, UserError
from cluster.fault_classes import FaultClass
from cluster.redaction.redactor import redacted
from jobs.kind import KINDS
from jobs.worker.versions import PACKAGES, code_commit
from orchestrator.console import note
from orchestrator.detached.handover import Handover
from orchestrator.permission.own_files import kept_code_place
from orchestrator.plan.decisions import JobDecision
from orchestrator.plan.identity_params import ParamMarks
from orchestrator.records.detached import DetachedLaunch, log_of_detached


def job_name(study: str, identifier: str = "") -> str:
    """Return the name of a launch's job; without a launch, how names of the study's jobs begin."""
    return f"deltascale-{study}-{identifier}"


def begin(handover: Handover, launch: DetachedLaunch, to_run: Sequence[JobDecision]) -> None:
    """Hand the launch to the Ray, and note its address.

    Args:
        handover: the launch.
        launch: what is known of it; gets the address.
        to_run: what it is to run.

    Raises:
        UserError: the command holds a secret.
        SurroundingsError: the Ray cannot be had, has no job server, or runs the study already.
    """
    root, study = handover.root, handover.study.name
    address = handover.place.address
    assert address is not None, "a launch without a Ray is a process"
    command = command_of(handover, launch["id"])
    if redacted(command) != command:
        raise UserError(
            "a word of this command is a secret, and everybody can read the command of a Ray job",
            where="launch --detach",
            hint="name the variable or file that holds it instead",
        )
    files = local_files(handover, to_run)
    code = keep_packages(PACKAGES, kept_code_place(), code_commit() or "")
    job = RayJob(
        name=launch["job"],
        command=command,
        folder=str(code),
        metadata={"study": study, "launch": launch["id"], "root": handover.root_place},
        files=files,
    )
    try:
        submitted = submit_job(address, handover.place.access, job)
    except JobRuns as fault:
        raise SurroundingsError(
            f"{study!r} is running already, or about to: job {fault} of the Ray at {address}",
            where=root.url,
            hint=f"watch it with `deltascale status {study}`, or end it with "
            f"`deltascale cancel {study}`",
            fault_class=FaultClass.NO_ROOM,
        ) from None
    launch["address"] = submitted.address
    if submitted.warning:
        note(f"warning: {submitted.warning}")


def local_files(handover: Handover, to_run: Sequence[JobDecision]) -> list[str]:
    """List the files and folders that the launch reads besides the root: data, models, entries."""
    root, study = handover.root, handover.study
    top = Path(root.url).resolve() if root.is_local else None
    paths = {str(study.entries.resolve())} if study.entries else set()
    for job in (decision.job for decision in to_run):
        paths |= ParamMarks(KINDS.find(job.kind).Params).local_paths(job.params)
    return sorted(
        path for path in paths if top is None or not Path(path).resolve().is_relative_to(top)
    )


def command_of(handover: Handover, identifier: str) -> str:
    """Return the shell command of the job; its folder holds this code.

    The interpreter is this one where the node has it under the same path. What it prints goes to
    the root where that is a path, into a file that is its user's alone, and to Ray's log else.
    """
    words = ["-m", "orchestrator.cli", *handover.words(identifier)]
    run = f'RAY_OVERRIDE_JOB_RUNTIME_ENV=1 PYTHONPATH="$PWD" exec "$P" {shlex.join(words)}'
    log = _log(handover, identifier)
    steps = [
        *([f"(umask 077; : >>{log}); chmod 600 {log}"] if log else []),
        f'P={shlex.quote(sys.executable)}; [ -x "$P" ] || P=python3',
        f'{run} --address "$RAY_ADDRESS"' + (f" >>{log} 2>&1" if log else ""),
    ]
    return "; ".join(steps)


def _log(handover: Handover, identifier: str) -> str:
    """Return the file that takes what is printed, as a word of the shell; empty where none does."""
    if not handover.root.is_local:
        return ""
    log = handover.root.path(log_of_detached(handover.study.name, identifier)).resolve()
    return shlex.quote(str(log))
