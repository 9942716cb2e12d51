"""Verb `logs`: what a job printed, in its newest attempt."""

import argparse
import sys

from cluster.errors import UserError
from orchestrator.console import note, say_json
from orchestrator.verb import chosen_root, study_argument

ORDER = 70
HELP = "print a job's log (newest attempt)"


def arguments(parser: argparse.ArgumentParser) -> None:
    """STUDY, JOB, and whether to go on."""
    study_argument(parser)
    parser.add_argument(
        "job", metavar="JOB", help="stage:axis=value or the start of a key; must mean one job"
    )
    parser.add_argument("--follow", action="store_true", help="go on until the job has ended")


def run(options: argparse.Namespace) -> int:
    """Print, and follow while it runs."""
    from jobs.artifacts.artifact import Artifact
    from orchestrator.plan.decided_plan import find_study, plan_study
    from orchestrator.study.selector import select
    from orchestrator.views.log_follower import attempts_with_log, follow, log_name

    root = chosen_root(options)
    study = find_study(root, options.study)
    found = {job.key: job for job in select(plan_study(root, study).jobs, options.job)}
    if len(found) > 1:
        raise UserError(
            f"{options.job!r} means {len(found)} jobs",
            where="JOB",
            allowed=[f"{job.key16} {job.label}" for job in list(found.values())[:20]],
        )
    (job,) = found.values()
    artifact = Artifact(root, job.kind, job.key)
    attempts = attempts_with_log(artifact)
    if not attempts:
        raise UserError(f"{job.label} has not started: there is no log", where=artifact.folder)
    name = log_name(artifact, attempts[-1])
    text = "" if options.follow and not options.json else root.read(name).decode(errors="replace")
    if options.json:
        say_json({"job": job.label, "key": job.key, "attempt": attempts[-1], "log": text})
        return 0
    if not options.follow:
        note(f"{job.label}, attempt {attempts[-1]} of {len(attempts)}: {name}")
        sys.stdout.write(text)
        return 0
    shown = ""
    for attempt, text in follow(root, study.name, job):
        if attempt != shown:
            shown = attempt
            note(f"{job.label}, attempt {attempt}: {log_name(artifact, attempt)}")
        sys.stdout.write(text)
        sys.stdout.flush()
    return 0
