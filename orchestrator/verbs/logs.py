"""Verb `logs`: what a job printed, in its newest attempt."""

import argparse
import sys
import time

from cluster.errors import UserError
from orchestrator.verb import chosen_root, note, say_json, study_argument

HELP = "print a job's log (newest attempt)"

_LOOK_EVERY_S = 0.5


def arguments(parser: argparse.ArgumentParser) -> None:
    """STUDY, JOB, and whether to go on."""
    study_argument(parser)
    parser.add_argument(
        "job", metavar="JOB", help="stage:axis=value or the start of a key; must mean one job"
    )
    parser.add_argument("--follow", action="store_true", help="go on until the job is done")


def run(options: argparse.Namespace) -> int:
    """Print, and follow while it runs."""
    from jobs.artifact import Artifact
    from orchestrator.outlook import find_study, look
    from orchestrator.selector import select

    root = chosen_root(options)
    study = find_study(root, options.study)
    found = {job.key: job for job in select(look(root, study).plan.jobs, options.job)}
    if len(found) > 1:
        raise UserError(
            f"{options.job!r} means {len(found)} jobs",
            where="JOB",
            allowed=[f"{job.key16} {job.label}" for job in list(found.values())[:20]],
        )
    (job,) = found.values()
    artifact = Artifact(root, job.kind, job.key)
    attempts = [
        attempt
        for attempt in artifact.attempts()
        if root.exists(f"{artifact.attempt_folder(attempt)}/log.txt")
    ]
    if not attempts:
        raise UserError(f"{job.label} has not started: there is no log", where=artifact.folder)
    name = f"{artifact.attempt_folder(attempts[-1])}/log.txt"
    if options.json:
        text = root.read(name).decode(errors="replace")
        say_json({"job": job.label, "key": job.key, "attempt": attempts[-1], "log": text})
        return 0
    note(f"{job.label}, attempt {attempts[-1]} of {len(attempts)}: {name}")
    shown = 0
    while True:
        done = artifact.find_record() is not None
        data = root.read(name)
        sys.stdout.write(data[shown:].decode(errors="replace"))
        sys.stdout.flush()
        shown = len(data)
        if done or not options.follow:
            return 0
        time.sleep(_LOOK_EVERY_S)
