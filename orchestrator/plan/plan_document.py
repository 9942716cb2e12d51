"""`plan.json` and `plan --json`: the decisions on a plan, with predictions and totals, as JSON."""

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from typing import Any

from jobs.artifacts.identity import KEY_LENGTH
from orchestrator.plan.decisions import RUNS, Decision, JobDecision
from orchestrator.plan.disk_space import add_up_sizes
from orchestrator.plan.plan import Plan
from orchestrator.plan.study_folder import PlanDocument


def plan_document(
    plan: Plan,
    decisions: Sequence[JobDecision],
    launch: str | None = None,
    hours: Mapping[str, float] | None = None,
    left_out: Set[str] = frozenset(),
) -> PlanDocument:
    """Describe every job, and all of them together; what is not known is null.

    Args:
        plan: the jobs.
        decisions: one for each.
        launch: id of the launch that is to write it down; None where it is only shown.
        hours: key -> hours foreseen, for decisions that were not made for machines.
        left_out: keys of jobs that the launch is not to run (`--only`).
    """
    absent = absent_data(decisions)
    document: PlanDocument = {
        "study": plan.study.name,
        "jobs": [_job_document(decision, hours or {}) for decision in decisions],
        "totals": _totals(decisions),
        "absent": absent,
        "whence": {file: text for file in absent if (text := plan.study.whence(file))},
    }
    if launch is not None:
        document["launch"] = launch
        document["left_out"] = sorted(left_out)
    return document


def absent_data(decisions: Sequence[JobDecision]) -> list[str]:
    """List the files and folders of the user's data that are not here, each once."""
    return list(dict.fromkeys(file for item in decisions for file in item.absent))


def _job_document(decision: JobDecision, hours: Mapping[str, float]) -> dict[str, object]:
    job, fit = decision.job, decision.fit
    return {
        "key": None if decision.absent else job.key,
        "stage": job.stage,
        "kind": job.kind,
        "cell": dict(job.cell),
        "decision": decision.decision.value,
        "why": decision.why,
        "num_gpus": decision.num_gpus,
        "peak_memory_gb": fit.peak_memory_gb if fit else None,
        "hours": fit.hours if fit else hours.get(job.key),
        "bytes": decision.most_bytes,
        "execution": dict(fit.execution) if fit else {},
        "fitted_by": fit.why if fit else None,
        "needs": sorted(
            {ref.key[:KEY_LENGTH] for name in job.used for ref in job.inputs.get(name, ())}
        ),
        "let_go": decision.is_let_go,
    }


def _totals(decisions: Sequence[JobDecision]) -> dict[str, Any]:
    counts = Counter(item.decision for item in decisions)
    by_key = {item.job.key: item for item in decisions}.values()
    to_run = [item for item in by_key if item.decision in RUNS]
    most_bytes, num_unknown_sizes = add_up_sizes(decisions)
    timed = [(item.fit.hours, item.num_gpus) for item in to_run if item.fit and item.fit.hours]
    peaks = [item.fit.peak_memory_gb for item in to_run if item.fit and item.fit.peak_memory_gb]
    return {
        "jobs": len(decisions),
        **{decision.value: counts[decision] for decision in Decision},
        "open": sum(bool(item.absent) for item in decisions),
        "num_gpus": max((item.num_gpus for item in by_key), default=0),
        "peak_memory_gb": max(peaks, default=None),
        "hours": sum(hours for hours, _ in timed) if timed else None,
        "gpu_hours": sum(hours * gpus for hours, gpus in timed) if timed else None,
        "jobs_of_unknown_hours": len(to_run) - len(timed),
        "gpu_jobs_of_unknown_hours": sum(
            bool(item.num_gpus) and not item.gpu_hours for item in to_run
        ),
        "bytes": sum(item.bytes or 0 for item in by_key),
        "bytes_to_write": most_bytes,
        "jobs_of_unknown_size": num_unknown_sizes,
        "temporary_bytes": max((item.temporary_bytes for item in to_run), default=0),
    }
