"""Detaches a launch on this machine: a process of its own session, seen to begin."""

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from cluster.detached.own_session import are_processes_ended_at_logout, start_session
from cluster.errors import SurroundingsError
from orchestrator.console import note
from orchestrator.detached.handover import Handover
from orchestrator.permission.own_files import submissions_place
from orchestrator.plan.decisions import JobDecision
from orchestrator.profiles.environment import JOB_VARIABLES
from orchestrator.records.detached import (
    DetachedLaunch,
    ending_of,
    log_of_detached,
    runner_of,
)

_BEGINS_WITHIN_S = 120.0
_LOOK_EVERY_S = 0.1
_TAIL_BYTES = 2000
_TOP = Path(__file__).parents[2]


def log_place(handover: Handover, identifier: str) -> Path:
    """Return the file that takes what the process prints: under the root where that is a path."""
    study = handover.study.name
    if handover.root.is_local:
        return handover.root.path(log_of_detached(study, identifier)).resolve()
    return submissions_place() / f"{study}-{identifier}.log"


def begin(handover: Handover, launch: DetachedLaunch, to_run: Sequence[JobDecision]) -> None:
    """Start the process, and wait until it has begun.

    Args:
        handover: the launch.
        launch: what is known of it.
        to_run: what it is to run: all of it is on this machine.

    Raises:
        SurroundingsError: it ended before, or did not begin.
    """
    del to_run
    place, log = handover.place, log_place(handover, launch["id"])
    words = [sys.executable, "-P", "-m", "orchestrator.cli", *handover.words(launch["id"])]
    words += ["--executor", place.executor]
    words += ["--cpus", str(place.cpus)] if place.cpus else []
    try:
        pid = start_session(words, _environment(handover), log)
    except OSError as error:
        raise SurroundingsError(
            f"no process can be started: {error.strerror}", where=str(error.filename or log)
        ) from None
    _wait_until_begun(handover, launch, pid, log)
    if are_processes_ended_at_logout():
        note(
            "warning: systemd ends your processes when you log out (KillUserProcesses=yes): "
            "`loginctl enable-linger` keeps them, or start this under "
            "`systemd-run --user --scope`"
        )


def _environment(handover: Handover) -> dict[str, str]:
    """Return what this process has, and what the profile sets for jobs."""
    variables = dict(handover.place.variables)
    before = os.environ.get("PYTHONPATH")
    path = os.pathsep.join([str(_TOP), *([before] if before else [])])
    names = [*os.environ.get(JOB_VARIABLES, "").split(","), *variables]
    jobs = {JOB_VARIABLES: ",".join(filter(None, names))} if variables else {}
    return {**os.environ, **variables, **jobs, "PYTHONPATH": path}


def _wait_until_begun(handover: Handover, launch: DetachedLaunch, pid: int, log: Path) -> None:
    root, study = handover.root, handover.study.name
    until = time.monotonic() + _BEGINS_WITHIN_S
    while runner_of(root, study, launch["id"]) is None:
        if ending_of(root, study, launch["id"]) is not None:
            return
        is_over = os.waitpid(pid, os.WNOHANG) != (0, 0)
        if is_over or time.monotonic() > until:
            what = "ended before it began" if is_over else "has not begun"
            raise SurroundingsError(
                f"the detached process {what}: {_last_line(log)}", where=str(log)
            )
        time.sleep(_LOOK_EVERY_S)


def _last_line(log: Path) -> str:
    try:
        tail = log.read_bytes()[-_TAIL_BYTES:].decode(errors="replace")
    except OSError:
        tail = ""
    lines = [line for line in tail.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "it said nothing"
