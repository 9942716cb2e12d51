"""Which jobs a selection runs: those that are selected, and all that they need."""

from collections.abc import Sequence

from jobs.artifacts.job import Job
from orchestrator.dispatch.policy import needs
from orchestrator.plan.decided_plan import DecidedPlan
from orchestrator.plan.decisions import JobDecision
from orchestrator.study.selector import select


def selected_keys(jobs: Sequence[Job], selectors: Sequence[str]) -> set[str]:
    """Return the keys of the selected jobs and of all jobs that they need, in any stage.

    Args:
        jobs: of a plan, inputs first.
        selectors: as on the command line; every job where there is none.

    Raises:
        UserError: a selector chooses no job.
    """
    chosen = {job.key for job in select(jobs, *selectors)}
    for job in reversed(jobs):
        if job.key in chosen:
            chosen |= needs(job)
    return chosen


def selected_to_run(decided: DecidedPlan, selectors: Sequence[str]) -> list[JobDecision]:
    """Return what is to run of the selected jobs and of all that they need."""
    wanted = selected_keys(decided.plan.jobs, selectors)
    return [decision for decision in decided.to_run if decision.job.key in wanted]
