"""Verb `logs`: print what the newest attempt at a job has logged."""

import argparse
import sys

from cluster.errors import UserError
from orchestrator.console import flush_or_end, note, say_json
from orchestrator.verb import chosen_study, study_argument

ORDER = 70
HELP = "print a job's log (newest attempt)"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare STUDY, JOB, and whether to follow the log."""
    study_argument(parser)
    parser.add_argument(
        "job", metavar="JOB", help="one job: stage:axis=value, or the start of a key"
    )
    parser.add_argument(
        "--follow", action="store_true", help="keep printing until the job has ended"
    )


def run(options: argparse.Namespace) -> int:
    """Print the log of one job, and follow it while the job runs.

    Args:
        options: the words of the command line.

    Returns:
        0.

    Raises:
        UserError: JOB does not select exactly one job, or the job has not started.
    """
    from jobs.artifacts.artifact import Artifact
    from orchestrator.plan.decided_plan import Purpose, plan_study
    from orchestrator.study.selector import select
    from orchestrator.views.log_follower import attempts_with_log, follow, log_name

    root, study = chosen_study(options)
    by_key = {
        job.key: job
        for job in select(plan_study(root, study, purpose=Purpose.ASK).jobs, options.job)
    }
    if len(by_key) > 1:
        raise UserError(
            f"{options.job!r} selects {len(by_key)} jobs, not one",
            where="JOB",
            allowed=[f"{job.key16} {job.label}" for job in list(by_key.values())[:20]],
        )
    (job,) = by_key.values()
    artifact = Artifact(root, job.kind, job.key)
    attempts = attempts_with_log(artifact)
    if not attempts:
        raise UserError(f"{job.label} has no log: it has not started", where=artifact.folder)
    name = log_name(artifact, attempts[-1])
    text = "" if options.follow and not options.json else root.read(name).decode(errors="replace")
    if options.json:
        say_json({"job": job.label, "key": job.key, "attempt": attempts[-1], "log": text})
        return 0
    if not options.follow:
        note(f"{job.label}, attempt {attempts[-1]} of {len(attempts)}: {name}")
        sys.stdout.write(text)
        return 0
    current = ""
    for attempt, text in follow(root, study.name, job):
        if attempt != current:
            current = attempt
            note(f"{job.label}, attempt {attempt}: {log_name(artifact, attempt)}")
        sys.stdout.write(text)
        flush_or_end()
    return 0
