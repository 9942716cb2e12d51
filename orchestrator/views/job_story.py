"""The story of one job, as `deltascale why` tells it: what was tried, what came of it, what next.

Everything is read from records, ledger and what attempts left, so that it can be told of a root of
yesterday, from any machine that sees it. What older ledgers do not say is left out.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from jobs.artifacts.job import Job, label_of_cell
from jobs.worker.attempt_folder import log_name
from orchestrator.diagnosis.evidence import evidence_name, read_evidence
from orchestrator.diagnosis.log_tail import tail_of_file
from orchestrator.diagnosis.matching import MOST_LINES, Remains, search
from orchestrator.diagnosis.signature import shipped
from orchestrator.dispatch.job_states import keys_needed
from orchestrator.dispatch.policy import needs
from orchestrator.plan.decided_plan import DecidedPlan
from orchestrator.plan.study_folder import launched_jobs
from orchestrator.records.events import Ended, LaunchEnded, LaunchStarted, Refused, Submitted
from orchestrator.records.failure import class_of_result
from orchestrator.records.injected import Injected
from orchestrator.records.launched_studies import known_studies
from orchestrator.records.ledger import ledger_folder, read_events
from orchestrator.records.submissions import files_of
from orchestrator.views.queued import queue_of


def tell(root: Storage, study: str, decided: DecidedPlan, job: Job, status: Any) -> dict[str, Any]:
    """Return everything that `deltascale why` says of one job, as JSON.

    Args:
        root: the output root.
        study: name of the study.
        decided: its plan, and what its ledger says.
        job: the job.
        status: what `status` says of the study (`status_of`).
    """
    unfinished = {item["key"]: item for item in status["unfinished"]}
    own = unfinished.get(job.key)
    history = list(_history(root, study, job))
    is_running = bool(status["launch"] and status["launch"]["held_by"])
    queue = queue_of(root, study) if own else None
    is_cut_off = own is not None and not is_running and _is_cut_off(history)
    return {
        "study": study,
        "job": job.label,
        "key": job.key,
        "kind": job.kind,
        "folder": job.folder,
        "state": own["state"] if own else "done",
        "why": own["why"] if own else None,
        "history": history,
        "needs": _needs(decided, job, unfinished),
        "root_cause": _root_cause(decided, job, unfinished),
        "waits_for": status["waits_for"],
        "is_running": is_running,
        "queue": queue,
        "killed_by": _killed_by(root, study, queue) if is_cut_off else None,
        "result": _result(root, study, job),
        "readers": _readers(root, study, decided, job),
    }


def _history(root: Storage, study: str, job: Job) -> Iterator[dict[str, Any]]:
    """Yield what the ledger says of the job, an attempt at a time, oldest first."""
    attempts: dict[str, dict[str, Any]] = {}
    events: list[dict[str, Any]] = []
    launch, num_launches = None, 0
    for event in read_events(root, study):
        if isinstance(event, LaunchStarted):
            launch, num_launches = event, num_launches + 1
        elif isinstance(event, LaunchEnded):
            for attempt in attempts.values():
                if attempt["ended"] is None and attempt["launch"] == event.launch:
                    attempt["launch_ended"] = event.state
        elif isinstance(event, Submitted) and event.key == job.key:
            attempts[event.attempt] = _attempt(root, job, event, launch, num_launches)
            events.append(attempts[event.attempt])
        elif isinstance(event, Refused) and event.key == job.key:
            events.append({"event": "refused", "at": event.at, "message": event.message})
        elif isinstance(event, Injected) and job.key == event.key:
            fault = {"at": event.at, "fault": event.fault, "place": dict(event.place)}
            if event.attempt in attempts:
                attempts[event.attempt]["injected"].append(fault)
            else:
                events.append({"event": "injected", **fault})
        elif isinstance(event, Ended) and event.key == job.key and event.attempt in attempts:
            attempts[event.attempt] |= _ending(root, job, event)
    yield from events


def _attempt(
    root: Storage, job: Job, event: Submitted, launch: LaunchStarted | None, number: int
) -> dict[str, Any]:
    folder = Artifact(root, job.kind, job.key).attempt_folder(event.attempt)
    log = f"{folder}/{log_name(0)}"
    return {
        "event": "attempt",
        "attempt": event.attempt,
        "submitted": event.at,
        "launch": launch.launch if launch else None,
        "launch_number": number,
        "host": launch.host if launch else None,
        "num_gpus": event.num_gpus,
        "execution": dict(event.execution),
        "peak_memory_gb": event.peak_memory_gb,
        "fitted_by": event.why or None,
        "folder": folder,
        "log": log if root.exists(log) else None,
        "ended": None,
        "injected": [],
    }


def _ending(root: Storage, job: Job, event: Ended) -> dict[str, Any]:
    """Return how an attempt ended, with what its evidence adds to the ledger."""
    fault_class = event.fault_class or class_of_result(event.result)
    told: dict[str, Any] = {
        "ended": event.at,
        "seconds": event.seconds,
        "result": event.result.value,
        "node": event.node,
        "message": event.message,
        "fraction": event.fraction,
        "fault_class": fault_class.value if fault_class else None,
        "rank": event.rank,
        "step": event.step,
        "exit_code": event.exit_code,
        "signal": event.signal,
        "signature": event.signature,
        "decision": event.decision,
        "decided_by": event.decided_by,
        "evidence": None,
    }
    evidence = read_evidence(root, job, event.attempt) if event.message else None
    if evidence is None:
        return told
    cause = evidence.cause
    return told | {
        "evidence": evidence_name(root, job, event.attempt),
        "remedy": evidence.remedy,
        "matched": evidence.matched,
        "witnesses": list(evidence.witnesses),
        "collateral": list(evidence.collateral),
        "overdue": list(evidence.overdue),
        "device": cause.device,
        "steps": cause.steps,
        "unit": cause.unit,
        "expected_gb": evidence.expected_gb,
        "memory": dict(cause.memory),
        "gpus": [dict(gpu) for gpu in cause.gpus],
        "others": [dict(other) for other in cause.others],
        "log": cause.log,
        "stacks": list(cause.stacks),
    }


def _is_cut_off(history: Sequence[dict[str, Any]]) -> bool:
    """Tell whether the latest attempt has no end: its launch was killed."""
    attempts = [event for event in history if event["event"] == "attempt"]
    return bool(attempts) and attempts[-1]["ended"] is None


def _killed_by(root: Storage, study: str, queue: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return what the logs of a launch's batch jobs say of its end; None where they say nothing."""
    if not queue or not queue["allocations"]:
        return None
    own = files_of(root, study, queue["submission"])
    for allocation in reversed(queue["allocations"]):
        for number in reversed(allocation.get("jobs", [])):
            log = Path(str(allocation.get("log")).replace("%j", str(number)))
            # The path stands in a file of the root, which others may write: no file of ours else.
            if not log.resolve().is_relative_to(own.resolve()):
                continue
            lines = tail_of_file(log, MOST_LINES)
            match = search(Remains(log=lines), shipped()).first
            if match is not None:
                failure = match.failure
                about = {"signature": failure.name, "line": match.line.strip()}
                return {**about, "remedy": failure.remedy, "log": str(log)}
    return None


def _needs(
    decided: DecidedPlan, job: Job, unfinished: dict[str, dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return the jobs that it needs and that are not done."""
    jobs = {other.key: other for other in decided.plan.jobs}
    return [
        {"job": jobs[key].label, "key": key, "state": unfinished[key]["state"]}
        for key in sorted(needs(job) & unfinished.keys() or keys_needed(job, jobs))
        if key in unfinished and key in jobs
    ]


def _root_cause(
    decided: DecidedPlan, job: Job, unfinished: dict[str, dict[str, Any]]
) -> dict[str, Any] | None:
    """Return the failed or cancelled job that keeps a job from running, however far up it is."""
    jobs = {other.key: other for other in decided.plan.jobs}
    seen, ahead = {job.key}, [*sorted(keys_needed(job, jobs))]
    while ahead:
        key = ahead.pop(0)
        if key in seen or key not in unfinished or key not in jobs:
            continue
        seen.add(key)
        state = unfinished[key]["state"]
        if state in ("failed", "cancelled"):
            why = unfinished[key]["why"]
            return {"job": jobs[key].label, "key": key, "state": state, "why": why}
        ahead += sorted(keys_needed(jobs[key], jobs))
    return None


def _result(root: Storage, study: str, job: Job) -> dict[str, Any] | None:
    """Return where the result of a done job lies, and who made it; None where it is not done."""
    artifact = Artifact(root, job.kind, job.key)
    record = artifact.find_record()
    if record is None:
        return None
    made = record[0]
    return {
        "folder": artifact.attempt_folder(made.attempt),
        "record": artifact.record_name,
        "attempt": made.attempt,
        "files": len(made.files),
        "bytes": sum(entry.bytes for entry in made.files.values()),
        "seconds": made.seconds,
        "commit": made.commit,
        "made_by": _study_of_attempt(root, study, made.attempt),
    }


def _study_of_attempt(root: Storage, study: str, attempt: str) -> str | None:
    """Return the study whose launch made an attempt; None where its ledger is gone."""
    launch = attempt.rpartition("-")[0]
    for name in [study, *(other for other in known_studies(root) if other != study)]:
        if any(entry.startswith(launch) for entry in root.list(ledger_folder(name))):
            return name
    return None


def _readers(root: Storage, study: str, decided: DecidedPlan, job: Job) -> list[dict[str, Any]]:
    """Return the jobs of this study that read it, and those of other studies that are it."""
    readers: list[dict[str, Any]] = [
        {"study": study, "job": other.label, "key": other.key}
        for other in {other.key: other for other in decided.plan.jobs}.values()
        if job.key in needs(other)
    ]
    for name in known_studies(root):
        if name == study:
            continue
        for stage, jobs in launched_jobs(root, name).items():
            for cell, _, key in jobs:
                if job.key.startswith(key) or key == job.key:
                    label = label_of_cell(stage, cell)
                    readers.append({"study": name, "job": label, "key": key})
    return readers
