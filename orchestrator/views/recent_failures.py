"""The failures of a study that were last: what each was, what to do, and what was decided."""

import heapq
from typing import Any

from cluster.errors import SurroundingsError
from cluster.storage import Storage
from orchestrator.dispatch.job_states import JobStates
from orchestrator.records.events import Ended
from orchestrator.records.history import History
from orchestrator.text import first_line

_MOST = 6


def recent_failures(storage: Storage, states: JobStates, past: History) -> list[dict[str, Any]]:
    """Return the latest failure of each job that failed last, the newest first."""
    failed = [
        (job.failed.at, key, job.failed)
        for key, job in past.jobs.items()
        if job.failed is not None and key in states.jobs
    ]
    return [_describe(storage, states, key, end) for _, key, end in heapq.nlargest(_MOST, failed)]


def _describe(storage: Storage, states: JobStates, key: str, end: Ended) -> dict[str, Any]:
    job = states.jobs[key]
    return {
        "key": key,
        "stage": job.stage,
        "cell": dict(job.cell),
        "state": states.by_key[key].value,
        "at": end.at,
        "attempt": end.attempt,
        "node": end.node,
        "rank": end.rank,
        "step": end.step,
        "fault_class": end.fault_class.value if end.fault_class else None,
        "signature": end.signature,
        "message": first_line(end.message),
        "remedy": _remedy(storage, states, key, end),
        "decision": end.decision,
        "decided_by": end.decided_by,
    }


def _remedy(storage: Storage, states: JobStates, key: str, end: Ended) -> str | None:
    """Return what to do, as the evidence of the attempt has it; None where that is not known."""
    if end.signature is None:
        return None
    from orchestrator.diagnosis.evidence import read_evidence

    try:
        evidence = read_evidence(storage, states.jobs[key], end.attempt)
    except SurroundingsError:
        return None
    return evidence.remedy if evidence else None
