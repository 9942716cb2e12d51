"""Verb `cancel`: ask a running launch to stop, or to stop some of its jobs."""

import argparse
import shlex
import time
from collections.abc import Set
from contextlib import suppress

from cluster.errors import SurroundingsError, UserError
from cluster.storage import Storage
from orchestrator.console import note, say, say_json
from orchestrator.verb import chosen_study, study_argument

ORDER = 80
HELP = "stop a running launch, or some of its jobs; launching again resumes"


_STOPPED_WITHIN_S = 75.0
"""How long to wait for jobs to end: within 60 s of the request they are ended if need be."""
_LOOK_EVERY_S = 0.5


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare STUDY and the jobs to cancel."""
    study_argument(parser)
    parser.add_argument(
        "selectors",
        nargs="*",
        metavar="SELECTOR",
        help="stage:axis=value,value or the start of a key; everything when not given",
    )
    parser.add_argument(
        "--no-wait",
        action="store_true",
        help="return at once; else wait, for a minute at most, and say what each job saved",
    )
    parser.add_argument(
        "--scancel",
        action="store_true",
        help="also take the study's jobs out of the queue of SLURM, running or not",
    )


def run(options: argparse.Namespace) -> int:
    """Leave a request where the running launch looks for one.

    Args:
        options: the words of the command line.

    Returns:
        0, also when no launch is running.

    Raises:
        UserError: only some jobs are to be cancelled, and an allocation is of all.
        SurroundingsError: SLURM does not take its part.
    """
    from orchestrator.dispatch.requests import ask_to_cancel
    from orchestrator.plan.decided_plan import jobs_meant
    from orchestrator.plan.launched_plan import read_running
    from orchestrator.records.lock import current_holder
    from orchestrator.study.selector import select
    from orchestrator.text import pluralize

    if options.scancel and options.selectors:
        raise UserError(
            "--scancel ends whole allocations: it does not go with selected jobs",
            where="--scancel",
            hint="without it, a running launch cancels only these",
        )
    root, study = chosen_study(options)
    running = read_running(root, study.name)
    jobs = select(jobs_meant(root, study, running), *options.selectors)
    holder = current_holder(root, study.name)
    if running is not None:
        jobs = [job for job in jobs if job.key not in running.left_out]
        holder = holder if jobs else None
    if holder is not None:
        ask_to_cancel(root, study.name, [job.key for job in jobs] if options.selectors else None)
    is_kept_back = not options.selectors and _keep_back(root, study.name)
    stopped: dict[str, str] = {}
    if holder is not None and not getattr(options, "no_wait", False):
        stopped = _wait_for_end(root, study.name, {job.key for job in jobs})
    queued = _queued(root, study.name, options)
    labels = {job.key: job.label for job in jobs}
    if options.json:
        say_json(
            {
                "study": study.name,
                "asked": holder is not None,
                "jobs": len(jobs),
                "scancelled": queued if options.scancel else [],
                "stopped": [
                    {"key": key, "job": labels[key], "saved": saved}
                    for key, saved in stopped.items()
                ],
                "kept_back": is_kept_back,
            }
        )
        return 0
    if holder is not None:
        what, back = "everything", f"`deltascale launch {study.words}` resumes"
        if options.selectors:
            what = pluralize(len(jobs), "job")
            chosen = f"{study.words} {shlex.join(options.selectors)}"
            back = f"`deltascale retry {chosen}` takes that back, and so does the next launch"
        say(f"asked the launch ({holder}) to cancel {what}; {back}")
        for key, saved in stopped.items():
            say(f"  {key[:16]}  {labels[key]}: {saved}")
    if is_kept_back:
        say(f"the detached launch of {study.name!r} that has not begun will not begin any more")
    if options.scancel and queued:
        say(f"taken out of the queue of SLURM: {', '.join(queued)}")
    elif holder is None and queued:
        say(
            f"no launch of {study.name!r} is running; job {queued[0]} is in the queue of SLURM, "
            "and `--scancel` takes it out"
        )
    elif running is not None and not jobs:
        say(f"the launch of {study.name!r} that runs is not to run these jobs: nothing to cancel")
    elif holder is None and not is_kept_back:
        say(f"no launch of {study.name!r} is running: nothing to cancel")
    return 0


def _keep_back(root: Storage, study: str) -> bool:
    """Keep a detached launch from beginning; return False where there is none that has not."""
    from orchestrator.detached.following import keep_back

    try:
        return keep_back(root, study)
    except SurroundingsError as fault:
        note(f"note: {fault.error}: what was detached is not known")
        return False


def _wait_for_end(root: Storage, study: str, keys: Set[str]) -> dict[str, str]:
    """Wait until the attempts at some jobs have ended; return what each says that it saved."""
    from orchestrator.records.history import read_history
    from orchestrator.records.lock import current_holder

    def running() -> dict[str, list[str]]:
        past = read_history(root, study)
        return {key: list(job.open) for key, job in past.jobs.items() if key in keys and job.open}

    begun, until = running(), time.monotonic() + _STOPPED_WITHIN_S
    left = begun
    while left and time.monotonic() < until and current_holder(root, study) is not None:
        time.sleep(_LOOK_EVERY_S)
        left = {key: attempts for key, attempts in running().items() if key in begun}
    past = read_history(root, study)
    return {
        key: "it has not stopped yet"
        if past.of_job(key).open
        else (past.of_job(key).stopped or "it ended before it could be stopped")
        for key in begun
    }


def _queued(root: Storage, study: str, options: argparse.Namespace) -> list[str]:
    """Return the ids of a study's jobs in the queue, which are taken out of it where asked for.

    Raises:
        SurroundingsError: SLURM does not take it; or what was submitted is to be taken out, and
            nobody knows what that was.
    """
    from cluster.slurm.queue import cancel, ids_of_scripts, look
    from orchestrator.records.submissions import job_ids, latest_submission, mark_stopped

    try:
        submission = latest_submission(root, study)
    except SurroundingsError as fault:
        if options.scancel:
            raise
        note(f"note: {fault.error}: what is in the queue is not known; {fault.hint}")
        return []
    if submission is None:
        return []
    ids = job_ids(submission)
    if options.scancel:
        with suppress(SurroundingsError):  # a launch that was killed wrote no id of its last one
            scripts = [allocation["script"] for allocation in submission["allocations"]]
            ids += [job for job in ids_of_scripts(scripts) if job not in ids]
    jobs = look(ids)
    if not options.scancel:
        return [job for job in ids if job in jobs and not jobs[job].is_over]
    mark_stopped(root, study, submission)
    # Those behind it first: none must begin because the one before it has ended.
    wanted = [job for job in reversed(ids) if job not in jobs or not jobs[job].is_over]
    cancel(wanted)
    return sorted(wanted, key=int)
