"""Verb `logs`: print what the newest attempt at a job logged, or a detached launch printed."""

import argparse
from typing import TYPE_CHECKING

from cluster.errors import UserError
from orchestrator.console import note, say_json, say_log
from orchestrator.verb import chosen_study, study_argument

if TYPE_CHECKING:
    from cluster.storage import Storage
    from jobs.artifacts.artifact import Artifact
    from jobs.artifacts.job import Job

ORDER = 70
HELP = "print a job's log (newest attempt), or without a job what a detached launch printed"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare STUDY, JOB, and whether to follow the log."""
    study_argument(parser)
    parser.add_argument(
        "job",
        nargs="?",
        metavar="JOB",
        help="one job: stage:axis=value, or the start of a key; without it, what the latest "
        "detached launch printed",
    )
    parser.add_argument(
        "--follow", action="store_true", help="keep printing until the job has ended"
    )
    parser.add_argument(
        "--rank",
        type=int,
        metavar="N",
        help="the log of this rank alone (default: of all, each line with its rank)",
    )


def run(options: argparse.Namespace) -> int:
    """Print the log of one job, or of a detached launch, and follow it while that runs.

    Args:
        options: the words of the command line.

    Returns:
        0.

    Raises:
        UserError: JOB does not select exactly one job, or the job has not started.
    """
    from jobs.artifacts.artifact import Artifact
    from orchestrator.plan.decided_plan import jobs_meant
    from orchestrator.plan.launched_plan import read_running
    from orchestrator.study.selector import select
    from orchestrator.views.log_follower import log_name, newest_with_log, ranks_with_log

    root, study = chosen_study(options)
    if options.job is None:
        return _print_detached(options, root, study.name)
    running = read_running(root, study.name)
    by_key = {job.key: job for job in select(jobs_meant(root, study, running), options.job)}
    if len(by_key) > 1:
        raise UserError(
            f"{options.job!r} selects {len(by_key)} jobs, not one",
            where="JOB",
            allowed=[f"{job.key16} {job.label}" for job in list(by_key.values())[:20]],
            code="ambiguous-job",
        )
    (job,) = by_key.values()
    artifact, rank = Artifact(root, job.kind, job.key), options.rank
    attempt = newest_with_log(artifact, rank)
    if attempt is None:
        raise _no_log(artifact, job, rank)
    ranks = ranks_with_log(artifact, attempt)
    if options.json:
        names = {one: log_name(artifact, attempt, one) for one in ranks if rank in (None, one)}
        logs = {one: root.read(name).decode(errors="replace") for one, name in names.items()}
        first = logs.get(0 if rank is None else rank, "")
        of_ranks = [{"rank": one, "log": text} for one, text in logs.items()]
        about = {"job": job.label, "key": job.key, "attempt": attempt}
        say_json({**about, "log": first, "ranks": of_ranks})
    elif options.follow:
        _follow(root, study.name, job, rank)
    else:
        note(f"{job.label}, attempt {attempt} of {len(artifact.attempts())}")
        for one in ranks if rank is None else [rank]:
            name = log_name(artifact, attempt, one)
            text = root.read(name).decode(errors="replace")
            note(name)
            say_log(_marked(text, one) if len(ranks) > 1 and rank is None else text)
    return 0


def _no_log(artifact: "Artifact", job: "Job", rank: int | None) -> UserError:
    """Make the fault for a job without a log, or without one of a rank."""
    from orchestrator.views.log_follower import newest_with_log, ranks_with_log

    attempt = newest_with_log(artifact)
    if attempt is None:
        what = f"{job.label} has no log: it has not started"
        return UserError(what, where=artifact.folder, code="not-started")
    ranks = ranks_with_log(artifact, attempt)
    return UserError(
        f"{job.label} has no log of rank {rank}", where="--rank", allowed=map(str, ranks)
    )


def _follow(root: "Storage", study: str, job: "Job", rank: int | None) -> None:
    """Print what is logged until the job ends; what every rank logs is marked by its number."""
    from orchestrator.views.log_follower import follow

    current, ranks = "", set[int]()
    for piece in follow(root, study, job, rank):
        if piece.attempt != current:
            note(f"{job.label}{', tried again' if current else ''}: attempt {piece.attempt}")
            current, ranks = piece.attempt, set()
        ranks.add(piece.rank)
        is_marked = rank is None and ranks != {0}
        say_log(_marked(piece.text, piece.rank) if is_marked else piece.text)
    note(f"{job.label} has ended: `deltascale status {study}` says how")


def _marked(text: str, rank: int) -> str:
    """Put the number of a rank before each line."""
    return "".join(f"[rank {rank}] {line}" for line in text.splitlines(keepends=True))


def _print_detached(options: argparse.Namespace, root: "Storage", study: str) -> int:
    """Print what the latest detached launch has printed. Raises UserError where there is none."""
    from orchestrator.detached.following import follow_log, latest_log

    launch, text = latest_log(root, study)
    if options.json:
        say_json({"study": study, "submission": launch, "log": text})
        return 0
    note(f"{study}, detached launch {launch}")
    pieces = follow_log(root, study, launch) if options.follow else [text]
    for piece in pieces:
        say_log(piece)
    return 0
