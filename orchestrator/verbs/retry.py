"""Verb `retry`: give some failed jobs a fresh retry budget, also while a launch runs."""

import argparse
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestrator.console import say, say_json
from orchestrator.printed_commands import typed
from orchestrator.verb import chosen_study, study_argument

if TYPE_CHECKING:
    from cluster.storage import Storage
    from jobs.artifacts.job import Job

ORDER = 55
HELP = "give some failed jobs a fresh retry budget; a running launch tries them at once"

_HEEDED_WITHIN_S = 20.0
"""How long a running launch may take to take the request: it looks every second, every five on a
remote root, and not while it waits for its storage."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare STUDY and the jobs to try again."""
    study_argument(parser)
    parser.add_argument(
        "selectors",
        nargs="*",
        metavar="SELECTOR",
        help="stage:axis=value,value or the start of a key; every failed job when not given",
    )


def run(options: argparse.Namespace) -> int:
    """Give the chosen jobs, and what they need, a fresh budget where they have failed.

    Args:
        options: the words of the command line.

    Returns:
        0, also when none of them has failed.

    Raises:
        UserError: a selector chooses no job.
        SurroundingsError: the root does not take it.
    """
    from orchestrator.plan.decided_plan import jobs_meant
    from orchestrator.plan.launched_plan import read_running
    from orchestrator.records.lock import current_holder
    from orchestrator.text import first_line, pluralize

    root, study = chosen_study(options)
    running = read_running(root, study.name)
    jobs = _with_needed(jobs_meant(root, study, running), options.selectors)
    failed = _failed(root, study.name, jobs)
    is_running = current_holder(root, study.name) is not None
    chosen = [job.key for job in jobs] if is_running else list(failed)
    is_heeded = bool(chosen) and is_running and _ask(root, study.name, chosen)
    if chosen and not is_heeded:
        is_heeded = _write_down(root, study.name, chosen)
    left_out = running.left_out if running else frozenset()
    is_now = is_running and not left_out & failed.keys()  # else they wait for the next launch
    words = study.name if running else study.words
    command = "" if is_now or not failed else typed(f"deltascale launch {words}")
    if options.json:
        say_json(
            {
                "study": study.name,
                "jobs": [job.label for job in jobs if job.key in failed],
                "keys": list(failed),
                "launch_running": is_running,
                "taken": is_heeded,
                "next": command or None,
            }
        )
        return 0
    for job in jobs:
        if job.key in failed:
            say(f"{job.key[:16]}  {job.label}: {first_line(failed[job.key])}")
    what, them = pluralize(len(failed), "failed job"), "it" if len(failed) == 1 else "them"
    if is_heeded and (later := left_out & failed.keys()):
        say(
            f"{what} got a fresh retry budget; the running launch is not to run {len(later)} of "
            f"them: once it has ended, `{command}` does"
        )
    elif not failed and is_running:
        say("none of these jobs has failed; the running launch is to try what waits among them now")
    elif not failed:
        say(f"none of these jobs of {study.name!r} has failed: nothing to try again")
    elif is_running and is_heeded:
        say(f"{what} got a fresh retry budget; the running launch tries {them} now")
    elif is_running:
        say(f"asked the running launch to try {what} again; it has not answered yet")
    else:
        say(f"{what} got a fresh retry budget; `{command}` tries {them}")
    return 0


def _with_needed(jobs: "Sequence[Job]", selectors: Sequence[str]) -> "list[Job]":
    """Return the selected jobs and all that they need: what failed above blocks them."""
    from orchestrator.dispatch.selection import selected_keys

    chosen = selected_keys(jobs, selectors)
    return list({job.key: job for job in jobs if job.key in chosen}.values())


def _failed(root: "Storage", study: str, jobs: "Sequence[Job]") -> dict[str, str]:
    """Return the jobs that are not tried again, with the message of the latest failure."""
    from orchestrator.records.history import read_history

    past = read_history(root, study)
    return {
        job.key: past.of_job(job.key).message or ""
        for job in jobs
        if past.of_job(job.key).given_up or past.of_job(job.key).refused
    }


def _ask(root: "Storage", study: str, keys: Sequence[str]) -> bool:
    """Ask the running launch; return whether it took the request in time."""
    from orchestrator.dispatch.requests import ask_to_retry, is_heeded
    from orchestrator.records.lock import current_holder

    name = ask_to_retry(root, study, keys)
    until = time.monotonic() + _HEEDED_WITHIN_S
    while time.monotonic() < until:
        if is_heeded(root, study, name):
            return True
        if current_holder(root, study) is None:
            return False  # it ended meanwhile; the next launch heeds the request
        time.sleep(0.2)
    return False


def _write_down(root: "Storage", study: str, keys: Sequence[str]) -> bool:
    """Write the fresh budgets into the ledger; False where a launch runs that may still do so."""
    from cluster.errors import SurroundingsError
    from cluster.fault_classes import FaultClass
    from orchestrator.plan.study_folder import written_token
    from orchestrator.records.events import Renewed
    from orchestrator.records.launch_id import new_launch_id
    from orchestrator.records.ledger import Ledger
    from orchestrator.records.lock import study_lock

    identifier = new_launch_id(root, study)
    try:
        with study_lock(root, study, identifier, above=written_token(root, study)) as held:
            held.confirm()
            ledger = Ledger(root, study, identifier)
            ledger.append(Renewed(at=time.time(), keys=list(keys)))
            ledger.close()
    except SurroundingsError as fault:
        if fault.fault_class is not FaultClass.NO_ROOM:
            raise
        return False
    return True
