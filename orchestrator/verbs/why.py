"""Verb `why`: tell the whole history of one job: what was tried, what came of it, what is next."""

import argparse
import shlex

from cluster.errors import UserError
from orchestrator.console import say, say_json
from orchestrator.verb import chosen_study, study_argument

ORDER = 65
HELP = "what became of one job, and why: its attempts, their evidence, and what is next"
_MOST_LISTED = 8


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare STUDY and JOB."""
    study_argument(parser)
    parser.add_argument(
        "job", metavar="JOB", help="one job: stage:axis=value, or the start of a key"
    )


def run(options: argparse.Namespace) -> int:
    """Tell the story of one job.

    Args:
        options: the words of the command line.

    Returns:
        0, whatever became of the job.

    Raises:
        UserError: JOB does not select exactly one job.
    """
    from orchestrator.plan.decided_plan import decide_plan
    from orchestrator.plan.decisions import Decision
    from orchestrator.study.selector import select
    from orchestrator.views.job_story import tell
    from orchestrator.views.status import status_of
    from orchestrator.views.story_text import sentences

    root, study = chosen_study(options)
    decided = decide_plan(root, study)
    chosen = list({job.key: job for job in select(decided.plan.jobs, options.job)}.values())
    if len(chosen) > 1:
        more = f", … and {len(chosen) - _MOST_LISTED} more" if len(chosen) > _MOST_LISTED else ""
        raise UserError(
            f"{options.job!r} selects {len(chosen)} jobs, not one{more}",
            where="JOB",
            allowed=[f"{job.key16} {job.label}" for job in chosen[:_MOST_LISTED]],
            code="ambiguous-job",
            hint="name one of them by its label's axes (stage:axis=value), or by its key",
        )
    (job,) = chosen
    status = status_of(
        root,
        study.name,
        decided.plan.jobs,
        done=decided.keys(Decision.REUSE),
        past=decided.history,
        changed=decided.keys(Decision.CHANGED),
    )
    story = tell(root, study.name, decided, job, status)
    if options.json:
        say_json(story)
        return 0
    for sentence in sentences(story, shlex.quote(options.study)):
        say(sentence)
    return 0
