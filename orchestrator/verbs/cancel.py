"""Verb `cancel`: ask a running launch to stop, or to stop some of its jobs."""

import argparse

from orchestrator.console import say, say_json
from orchestrator.verb import chosen_study, study_argument

ORDER = 80
HELP = "stop a running launch, or some of its jobs; launching again resumes"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare STUDY and the jobs to cancel."""
    study_argument(parser)
    parser.add_argument(
        "selectors",
        nargs="*",
        metavar="SELECTOR",
        help="stage:axis=value,value or the start of a key; everything when not given",
    )


def run(options: argparse.Namespace) -> int:
    """Leave a request where the running launch looks for one.

    Args:
        options: the words of the command line.

    Returns:
        0, also when no launch is running.
    """
    from orchestrator.dispatch.cancel_requests import ask_to_cancel
    from orchestrator.plan.decided_plan import Purpose, plan_study
    from orchestrator.records.lock import current_holder
    from orchestrator.study.selector import select
    from orchestrator.text import pluralize

    root, study = chosen_study(options)
    jobs = select(plan_study(root, study, purpose=Purpose.ASK).jobs, *options.selectors)
    holder = current_holder(root, study.name)
    if holder is not None:
        ask_to_cancel(root, study.name, [job.key for job in jobs] if options.selectors else None)
    if options.json:
        say_json({"study": study.name, "asked": holder is not None, "jobs": len(jobs)})
    elif holder is None:
        say(f"no launch of {study.name!r} is running: nothing to cancel")
    else:
        what = pluralize(len(jobs), "job") if options.selectors else "everything"
        say(f"asked {holder} to cancel {what}; `deltascale launch {study.name}` resumes")
    return 0
