"""Why a job of a study has measured nothing, as a Status of the Measurement schema and in words."""

from collections.abc import Mapping

from orchestrator.plan.decided_plan import DecidedPlan
from orchestrator.plan.decisions import Decision, JobDecision
from orchestrator.records.failure import Result

_BARRED = (Decision.FAILED, Decision.BLOCKED, Decision.WILL_NOT_FIT)

_WAITS = {
    Decision.NEW: "is not run yet",
    Decision.CHANGED: "is asked for otherwise now, and not run since",
    Decision.STALE: "is made from what has changed since, and not run again",
}


def why_missing(decided: DecidedPlan, each: JobDecision) -> tuple[str, str]:
    """Status and reason of everything that a job which is not done would have measured.

    A job that waits for one that failed is missing for that one's reason.
    """
    cause = _cause(each, decided.by_key)
    past = decided.history.of(cause.job.key)
    reason = f"{each.job.label} {each.decision.value}: {each.why}"
    if cause is not each:
        reason += f"; {cause.job.label} {cause.decision.value}: {cause.why}"
    if cause.decision not in _BARRED:
        # One sentence for all cells of a stage: a table gives each sentence one footnote.
        waits = f"stage {each.job.stage} {_WAITS[each.decision]}"
        return "not_run", f"{reason}; {past.refused}" if past.refused else waits
    no_memory = past.result is Result.OUT_OF_MEMORY or cause.decision is Decision.WILL_NOT_FIT
    return "out_of_memory" if no_memory else "job_failed", reason


def _cause(each: JobDecision, known: Mapping[str, JobDecision]) -> JobDecision:
    """The job upstream that stands in the way, or the job itself."""
    if each.decision is Decision.BLOCKED:
        for refs in each.job.inputs.values():
            for ref in refs:
                if known[ref.key].decision in _BARRED:
                    return _cause(known[ref.key], known)
    return each
