"""What is known of a detached launch, from the root alone."""

import time
from collections.abc import Iterator
from typing import Any

from cluster.errors import UserError
from cluster.redaction.redactor import redacted
from cluster.storage import Storage
from orchestrator.records.detached import (
    DetachedLaunch,
    ending_of,
    is_stopped,
    latest_detached,
    log_of_detached,
    runner_of,
    stop_detached,
)
from orchestrator.records.lock import current_holder
from orchestrator.text import duration

_LOOK_EVERY_S = 1.0
_MEANINGS = {
    0: "complete",
    1: "with failed jobs",
    75: "it gave up waiting",
    76: "its budget is spent",
    130: "cancelled or interrupted",
}
"""Exit codes of a launch that need no look at its log."""


def describe_way(launch: DetachedLaunch) -> str:
    """Say what a detached launch is: a job of a Ray, by its name, or a process."""
    if launch["way"] == "ray":
        return f"job {launch['job']} of the Ray at {launch['address']}"
    return f"a process of its own (launch {launch['id']})"


def follow_detached(root: Storage, study: str) -> dict[str, Any] | None:
    """Return what is known of the detached launch that was begun last; None where there is none.

    Args:
        root: the output root.
        study: name of the study.

    Raises:
        SurroundingsError: what was kept of it is damaged.
    """
    launch = latest_detached(root, study)
    if launch is None:
        return None
    line, is_waiting = _line(root, study, launch)
    return {
        "submission": launch["id"],
        "way": launch["way"],
        "job": launch["job"] or None,
        "address": launch["address"],
        "profile": launch["profile"],
        "at": launch["at"],
        "is_queued": is_waiting,
        "line": f"detached: {line}",
        "log": log_of_detached(study, launch["id"]),
        "allocations": [],
    }


def _line(root: Storage, study: str, launch: DetachedLaunch) -> tuple[str, bool]:
    """Say how far it is, and whether it is still to begin."""
    what, identifier = describe_way(launch), launch["id"]
    ending = ending_of(root, study, identifier)
    if ending is not None:
        meaning = _MEANINGS.get(ending["code"])
        about = f": {meaning}" if meaning else f"; `deltascale logs {study}` shows what it said"
        return f"{what} ended with code {ending['code']}{about}", False
    runner = runner_of(root, study, identifier)
    if runner is None:
        if is_stopped(root, study, identifier):
            return f"{what} was stopped before it began", False
        since = duration(max(0.0, time.time() - launch["at"]))
        return f"{what} was handed over {since} ago and has not begun as far as is known", True
    if runner.is_alive or current_holder(root, study) is not None:
        return f"{what}, process {runner.pid} on {runner.host}", False
    lost = "it was killed" if runner.is_dead else "it was killed, or lost with its cluster"
    return f"{what} ended without a word: {lost}; the same command goes on", False


def keep_back(root: Storage, study: str) -> bool:
    """Keep the latest detached launch from running jobs; return False where it does, or has ended.

    One that has begun and holds no lock is still planning: it looks once it has the lock.

    Raises:
        SurroundingsError: what was kept of it is damaged, or the root cannot be written.
    """
    launch = latest_detached(root, study)
    if launch is None or ending_of(root, study, launch["id"]) is not None:
        return False
    runner = runner_of(root, study, launch["id"])
    if (runner and runner.is_dead) or current_holder(root, study) is not None:
        return False
    if is_stopped(root, study, launch["id"]):
        return False
    stop_detached(root, study, launch["id"])
    return True


def latest_log(root: Storage, study: str) -> tuple[str, str]:
    """Return the id of the detached launch that was begun last, and what it has printed, redacted.

    Raises:
        UserError: no launch of the study was detached.
        SurroundingsError: what was kept of it is damaged.
    """
    launch = latest_detached(root, study)
    if launch is None:
        raise UserError(
            f"no launch of {study!r} was detached, so there is nothing that one printed",
            where="JOB",
            hint="name a job: stage:axis=value, or the start of a key",
        )
    return launch["id"], redacted(_log(root, study, launch["id"]).decode(errors="replace"))


def follow_log(root: Storage, study: str, identifier: str) -> Iterator[str]:
    """Yield what a detached launch prints, redacted, line by line until it has ended."""
    shown, is_over = 0, False
    while True:
        data = _log(root, study, identifier)
        # A secret is told by the whole line.
        end = len(data) if is_over else data.rfind(b"\n") + 1
        if end > shown:
            yield redacted(data[shown:end].decode(errors="replace"))
            shown = end
        elif is_over:
            return
        else:
            # Looked at before the log is read for the last time, or its last lines would be lost.
            is_over = _is_over(root, study, identifier)
            if not is_over:
                time.sleep(_LOOK_EVERY_S)


def _is_over(root: Storage, study: str, identifier: str) -> bool:
    if ending_of(root, study, identifier) is not None or is_stopped(root, study, identifier):
        return True
    runner = runner_of(root, study, identifier)
    return runner is not None and not runner.is_alive and current_holder(root, study) is None


def _log(root: Storage, study: str, identifier: str) -> bytes:
    try:
        return root.read(log_of_detached(study, identifier))
    except FileNotFoundError:
        return b""
