"""The status of a study, derived at every call: done from records, the rest from the ledger."""

import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence, Set
from typing import Any

from cluster.locks.holder import Holder
from cluster.storage import Storage
from jobs.artifacts.job import Job
from orchestrator.budget.budget import Budget, describe_amount
from orchestrator.budget.spending import spent_on, unpriced_seconds
from orchestrator.dispatch.job_states import JobState, JobStates, keys_needed
from orchestrator.dispatch.policy import needs
from orchestrator.records.attempt_progress import Progress, read_progress
from orchestrator.records.events import LaunchState
from orchestrator.records.failure import (
    FAILURES,
    WAITED_FOR,
    WAITS_FOR,
    Result,
    describe_wait,
)
from orchestrator.records.history import History
from orchestrator.records.job_history import JobHistory
from orchestrator.records.lock import current_holder
from orchestrator.views.expected_end import Planned, expected_end
from orchestrator.views.recent_failures import recent_failures
from orchestrator.watchdog.shown import show_signs

_MOST_NAMED = 3


def status_of(
    storage: Storage,
    study: str,
    jobs: Sequence[Job],
    *,
    done: Set[str],
    past: History,
    planned: Mapping[str, Planned] | None = None,
    left_out: Set[str] = frozenset(),
    changed: Set[str] = frozenset(),
) -> dict[str, Any]:
    """Return everything that `deltascale status` shows, as JSON.

    Args:
        storage: The output root.
        study: Name of the study.
        jobs: Its jobs in topological order.
        done: Keys of the jobs that are done.
        past: What the ledger says of the jobs.
        planned: Key -> what the plan expects of the job; None where nothing is known.
        left_out: Keys of jobs that the launch which runs is not to run.
        changed: Keys of jobs whose cells were other jobs at the last launch.
    """
    holder = current_holder(storage, study)
    states = _job_states(jobs, done, past, is_running=holder is not None)
    if holder is not None:
        _note(states, left_out, "not part of the launch that runs")
    untried = {key for key in changed if not (past.of_job(key).attempt or unmet_needs(states, key))}
    _note(states, untried, "another job since the last launch; `plan` says by what")
    unfinished = [
        _describe(storage, states, past, key, is_running=holder is not None)
        for key, state in states.by_key.items()
        if state is not JobState.DONE
    ]
    expected = expected_end(states, past, planned or {}, unfinished, left_out=left_out)
    counts = {state.value: states.counts[state] for state in _COUNTED}
    return {
        "study": study,
        "state": _launch_state(states, past, holder),
        "jobs": counts,
        "stages": _stages(states),
        "waits_for": _waits_for(past, holder),
        "quarantined": _quarantined(past, is_running=holder is not None),
        "launch": _launch(past, holder),
        "launches": past.num_launches,
        "attempts": sum(job.num_attempts for job in past.jobs.values()),
        "seconds_used": round(sum(job.seconds for job in past.jobs.values()), 1),
        "gpu_hours_used": round(sum(job.gpu_seconds for job in past.jobs.values()) / 3600, 3),
        "chaos": _chaos(past),
        "budget": _budget(storage, past, is_running=holder is not None),
        "eta_seconds": expected.seconds if expected else None,
        "eta": expected.as_json() if expected else None,
        "waiting": _waiting(states, past, is_running=holder is not None),
        "failures": recent_failures(storage, states, past),
        "unfinished": unfinished,
    }


def _quarantined(past: History, *, is_running: bool) -> list[dict[str, Any]]:
    """Return the nodes that the running launch gives no jobs, until when, and why."""
    return [
        {"node": event.node, "since": event.since, "until": event.until, "why": event.why}
        for event in past.quarantined.values()
        if is_running and event.until > event.at
    ]


def _chaos(past: History) -> dict[str, Any] | None:
    """Return what the latest launch injects on purpose, and how much all have; None: nothing."""
    faults = past.launch.chaos if past.launch else ""
    if not faults and not past.injected:
        return None
    return {"faults": faults or None, "injected": len(past.injected)}


_COUNTED = (JobState.DONE, JobState.RUNNING, JobState.WAITING, JobState.BLOCKED, JobState.FAILED)
"""States that are counted; a job that was cancelled waits for the next launch."""


def _job_states(
    jobs: Sequence[Job], done: Set[str], past: History, *, is_running: bool
) -> JobStates:
    states = JobStates(jobs, done)
    for key, job in past.jobs.items():
        if states.by_key.get(key) is not JobState.WAITING:
            continue
        if is_running and job.open_since is not None:
            states.start(key)
        elif job.refused or job.given_up:
            states.drop(key, JobState.FAILED, job.refused or job.message or "it failed")
    return states


def _note(states: JobStates, keys: Set[str], why: str) -> None:
    """Say of jobs that wait why they do, where that is neither an input nor the machines."""
    for key in states.in_state(JobState.WAITING):
        if key in keys and key not in states.because:
            states.because[key] = why


def _stages(states: JobStates) -> list[dict[str, Any]]:
    """Return every stage in the plan's order, with how many of its jobs are in which state."""
    counts: defaultdict[str, Counter[JobState]] = defaultdict(Counter)
    for key, state in states.by_key.items():
        counts[states.jobs[key].stage][state] += 1
    return [
        {
            "stage": stage,
            "jobs": by_state.total(),
            **{state.value: by_state[state] for state in _COUNTED},
        }
        for stage, by_state in counts.items()
    ]


def _waiting(states: JobStates, past: History, *, is_running: bool) -> list[dict[str, Any]]:
    """Group the jobs that wait or are blocked by what they wait for, the largest group first."""
    groups: dict[str, Counter[str]] = {}
    for key, state in states.by_key.items():
        if state is JobState.WAITING:
            stop = _why_stopped(past, key) if is_running else None
            of_job = past.of_job(key)
            why = states.because.get(key) or stop
            why = why or _what_for(states, of_job, key, is_running=is_running)
        elif state is JobState.BLOCKED:
            why = _root_of_block(states, key)
        else:
            continue
        groups.setdefault(why, Counter())[states.jobs[key].stage] += 1
    by_size = sorted(groups.items(), key=lambda group: -group[1].total())
    return [{"why": why, "jobs": jobs.total(), "stages": dict(jobs)} for why, jobs in by_size]


def _what_for(states: JobStates, past: JobHistory, key: str, *, is_running: bool) -> str:
    """Return what a waiting job waits for, without what is its own: other jobs say the same."""
    unmet = unmet_needs(states, key)
    if unmet:
        # What another of them needs itself says nothing more.
        nearest = set(unmet).difference(*(needs(states.jobs[upstream]) for upstream in unmet))
        return f"wait for {', '.join(sorted({states.jobs[up].stage for up in nearest}))}"
    if is_running and past.result in FAILURES and past.fault_class in WAITED_FOR:
        return f"wait for {WAITS_FOR[past.fault_class]}"
    if is_running and past.failures.total() and past.result is not Result.BUSY:
        return "are to be tried again"
    return _why_not_started(past, is_running=is_running)


def _root_of_block(states: JobStates, key: str) -> str:
    """Say which stage has the failed or cancelled job that blocks a job, itself or further up."""
    for upstream in sorted(keys_needed(states.jobs[key], states.jobs)):
        state = states.by_key.get(upstream)
        if state is JobState.BLOCKED:
            return _root_of_block(states, upstream)
        if state in (JobState.FAILED, JobState.CANCELLED):
            return f"blocked: a job of {states.jobs[upstream].stage} is {state.value}"
    return "blocked: what they need is not part of this launch"


def _launch_state(states: JobStates, past: History, holder: Holder | None) -> str:
    if holder is not None:
        return LaunchState.RUNNING.value
    if states.counts[JobState.DONE] == len(states.jobs):
        return LaunchState.COMPLETE.value
    ended = past.ended.state if past.ended else None
    # A study that was changed since, launched in part, or lost something that was done is not what
    # its last launch completed.
    if past.launch is None or ended == LaunchState.COMPLETE.value:
        return LaunchState.NEW.value
    # A launch that was killed had no time to write how it ended.
    return ended or LaunchState.INTERRUPTED.value


def _waits_for(past: History, holder: Holder | None) -> dict[str, Any] | None:
    """Return what keeps the launch, or made it give up; None where nothing does."""
    waiting = past.waiting
    is_suspended = past.ended is not None and past.ended.state == LaunchState.SUSPENDED.value
    if waiting is None or waiting.fault_class is None or not (holder or is_suspended):
        return None
    since, message = waiting.since or waiting.at, waiting.message or ""
    line = describe_wait(waiting.fault_class, since, message)
    return {
        "fault_class": waiting.fault_class.value,
        "since": since,
        "message": message,
        "line": line if holder else f"gave up {line}",
    }


def _launch(past: History, holder: Holder | None) -> dict[str, Any] | None:
    if past.launch is None:
        return None
    return {
        "id": past.launch.launch,
        "executor": past.launch.executor,
        "started": past.launch.at,
        "ended": past.ended.at if past.ended else None,
        "held_by": str(holder) if holder else None,
        "silent_seconds": round(holder.silent_s, 1) if holder else None,
        "stops_as": past.stopping.state if holder and past.stopping else None,
    }


def _budget(storage: Storage, past: History, *, is_running: bool) -> dict[str, Any] | None:
    """Return what the latest launch may spend and what was spent; None without a budget."""
    budget = Budget(limits=past.launch.budget if past.launch else {})
    if not budget:
        return None
    now = time.time() if is_running else None
    spent = spent_on(budget, storage, past, now=now)
    unpriced_s = unpriced_seconds(past, now=now) if budget.limits_money else 0.0
    unpriced = f"; {unpriced_s / 3600:.2g} hours of jobs without a price are not counted"
    parts = (
        f"{describe_amount(unit, spent[unit])} of {describe_amount(unit, limit)}"
        for unit, limit in budget.limits.items()
    )
    return {
        "limits": dict(budget.limits),
        "spent": {unit: round(amount, 6) for unit, amount in spent.items()},
        "unpriced_seconds": round(unpriced_s, 3),
        "line": f"budget: {', '.join(parts)} spent{unpriced if unpriced_s else ''}",
        "ended": past.ended.why if past.ended else None,
    }


def _describe(
    storage: Storage, states: JobStates, past: History, key: str, *, is_running: bool
) -> dict[str, Any]:
    job, job_past, state = states.jobs[key], past.of_job(key), states.by_key[key]
    progress = Progress()
    if state is JobState.RUNNING:
        progress = read_progress(storage, job, job_past.open)
    return {
        "key": key,
        "stage": job.stage,
        "kind": job.kind,
        "cell": dict(job.cell),
        "state": state.value,
        "why": states.because.get(key)
        or (_why_stopped(past, key) if is_running and state is JobState.WAITING else None)
        or _why(states, job_past, key, is_running=is_running),
        "attempts": job_past.num_attempts,
        "seconds_used": round(job_past.seconds, 1),
        "attempt": job_past.attempt,
        "workers": len(job_past.open) if state is JobState.RUNNING else 0,
        "fraction": progress.fraction,
        "doing": progress.doing,
        "activity": show_signs(storage, job, job_past.open) if state is JobState.RUNNING else None,
        "num_gpus": job_past.submitted.num_gpus if job_past.submitted else None,
        "peak_memory_gb": job_past.submitted.peak_memory_gb if job_past.submitted else None,
        "execution": dict(job_past.submitted.execution) if job_past.submitted else {},
        "fitted_by": (job_past.submitted.why or None) if job_past.submitted else None,
    }


def _why(states: JobStates, job_past: JobHistory, key: str, *, is_running: bool) -> str:
    if states.by_key[key] is JobState.RUNNING:
        workers = f", {len(job_past.open)} workers" if len(job_past.open) > 1 else ""
        return f"attempt {job_past.num_attempts}{workers}"
    unmet = unmet_needs(states, key)
    if unmet:
        labels = [
            f"{states.jobs[upstream].label} ({states.by_key[upstream].value})"
            for upstream in unmet[:_MOST_NAMED]
        ]
        more = f" and {len(unmet) - _MOST_NAMED} more" if len(unmet) > _MOST_NAMED else ""
        return f"needs {', '.join(labels)}{more}"
    return _why_not_started(job_past, is_running=is_running)


_STOPS = {
    LaunchState.CANCELLED.value: "the launch is being cancelled",
    LaunchState.INTERRUPTED.value: "the launch was interrupted",
    LaunchState.SUSPENDED.value: "the launch gives up waiting",
    LaunchState.OUT_OF_BUDGET.value: "the budget is spent",
}


def _why_stopped(past: History, key: str) -> str | None:
    """Say that a job does not start any more in the running launch; None where it may."""
    if past.stopping is not None:
        what = _STOPS.get(past.stopping.state, "the launch ends")
        return f"{what}: what runs may save, nothing more starts"
    return "cancelled; the next launch runs it" if key in past.cancelled else None


def unmet_needs(states: JobStates, key: str) -> list[str]:
    """List the jobs that a job needs and that are not done; what lies behind them where none is."""
    job = states.jobs[key]
    for needed in (needs(job), keys_needed(job, states.jobs)):
        unmet = [
            upstream
            for upstream in sorted(needed)
            if states.by_key.get(upstream) is not JobState.DONE and upstream in states.jobs
        ]
        if unmet:
            return unmet
    return []


def _why_not_started(job_past: JobHistory, *, is_running: bool) -> str:
    if is_running:
        if job_past.result is Result.BUSY:
            return "another launch on this root is at the same job"
        if job_past.result is Result.NO_ROOM:
            return job_past.message or "others hold what it needs"
        has_failed = job_past.result in FAILURES
        again = f"to be tried again: {job_past.message}; " if has_failed else ""
        if has_failed and job_past.fault_class in WAITED_FOR:
            return f"waits for {WAITS_FOR[job_past.fault_class]}: {job_past.message}"
        return f"{again}all resources are in use"
    if job_past.result is Result.CANCELLED:
        return "cancelled; the next launch runs it"
    return (
        "its launch ended first; the next one runs it" if job_past.attempt else "not launched yet"
    )
