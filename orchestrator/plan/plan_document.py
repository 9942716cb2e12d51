"""`plan.json` and `plan --json`: a plan with its decisions, predictions and totals as JSON."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from orchestrator.plan.decisions import RUNS, Decision, JobDecision
from orchestrator.plan.plan import Plan


def plan_document(plan: Plan, explained: Sequence[JobDecision]) -> dict[str, Any]:
    """Every job and what they come to; what is not known is null."""
    return {
        "study": plan.study.name,
        "jobs": [_described(each) for each in explained],
        "totals": _totals(explained),
    }


def _described(each: JobDecision) -> dict[str, Any]:
    return {
        "key": each.job.key,
        "stage": each.job.stage,
        "kind": each.job.kind,
        "cell": dict(each.job.cell),
        "decision": each.decision.value,
        "why": each.why,
        "num_gpus": each.num_gpus,
        "peak_memory_gb": each.fit.peak_memory_gb if each.fit else None,
        "hours": each.fit.hours if each.fit else None,
        "bytes": each.most_bytes,
        "execution": dict(each.fit.execution) if each.fit else {},
        "fitted_by": each.fit.why if each.fit else None,
    }


def _totals(explained: Sequence[JobDecision]) -> dict[str, Any]:
    counts = Counter(each.decision for each in explained)
    once = {each.job.key: each for each in explained}.values()
    to_run = [each for each in once if each.decision in RUNS]
    sizes = [each.most_bytes for each in to_run]
    timed = [(each.fit.hours, each.num_gpus) for each in to_run if each.fit and each.fit.hours]
    peaks = [each.fit.peak_memory_gb for each in to_run if each.fit and each.fit.peak_memory_gb]
    return {
        "jobs": len(explained),
        **{decision.value: counts[decision] for decision in Decision},
        "num_gpus": max((each.num_gpus for each in once), default=0),
        "peak_memory_gb": max(peaks, default=None),
        "hours": sum(hours for hours, _ in timed) if timed else None,
        "gpu_hours": sum(hours * gpus for hours, gpus in timed) if timed else None,
        "jobs_of_unknown_hours": len(to_run) - len(timed),
        "bytes": sum(each.bytes or 0 for each in once),
        "bytes_to_write": sum(size for size in sizes if size is not None),
        "jobs_of_unknown_size": sum(size is None for size in sizes),
    }
