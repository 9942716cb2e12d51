"""When a study may end, as its states, its ledger and its plan say together."""

import time
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from jobs.artifacts.job import Job
from orchestrator.dispatch.job_states import JobState, JobStates, keys_needed
from orchestrator.plan.durations import Durations, Task
from orchestrator.plan.time_left import Left, TimeLeft, shares, time_left
from orchestrator.records.failure import Result
from orchestrator.records.history import History


@dataclass(frozen=True, kw_only=True)
class Planned:
    """What the plan expects of one job."""

    hours: float | None = None
    """Hours that it takes; None where that is not known."""
    num_gpus: float = 0.0
    """Accelerators that it holds, all ranks together."""


_NOTHING = Planned()


def expected_end(
    states: JobStates,
    past: History,
    planned: Mapping[str, Planned],
    unfinished: Sequence[Mapping[str, Any]],
    *,
    left_out: Set[str] = frozenset(),
) -> TimeLeft | None:
    """Expect when the last job that will be tried ends; None where none is left.

    Args:
        states: The jobs and their states.
        past: What the ledger says of them.
        planned: Key -> what the plan expects of the job.
        unfinished: What the status says of each job that is not done.
        left_out: Keys of jobs that the launch which runs is not to run.
    """
    open_states = (JobState.RUNNING, JobState.WAITING)
    keys = [
        key for key, state in states.by_key.items() if state in open_states and key not in left_out
    ]
    if not keys:
        return None
    done = (
        (_task(states.jobs[key], planned), job.seconds)
        for key, job in past.jobs.items()
        if job.result is Result.DONE and key in states.jobs
    )
    running = {job["key"]: job for job in unfinished if job["state"] == JobState.RUNNING.value}
    width = past.pace.width or float(len(running)) or None
    parts = shares(
        [_num_gpus(key, past, planned) for key in keys],
        width=width,
        gpus_at_once=past.pace.gpus_at_once,
    )
    now = time.time()
    left = {}
    for key, share in zip(keys, parts, strict=True):
        since = past.of_job(key).open_since if key in running else None
        left[key] = Left(
            task=_task(states.jobs[key], planned),
            needs=frozenset(keys_needed(states.jobs[key], states.jobs)),
            share=share,
            spent_s=None if since is None else max(0.0, now - since),
            remaining_s=_remaining(running.get(key)),
        )
    return time_left(left, Durations(done))


def _task(job: Job, planned: Mapping[str, Planned]) -> Task:
    hours = planned.get(job.key, _NOTHING).hours
    return Task(
        stage=job.stage,
        kind=job.kind,
        cell=job.cell,
        planned_s=None if hours is None else hours * 3600,
    )


def _num_gpus(key: str, past: History, planned: Mapping[str, Planned]) -> float:
    submitted = past.of_job(key).submitted
    return submitted.num_gpus if submitted else planned.get(key, _NOTHING).num_gpus


def _remaining(job: Mapping[str, Any] | None) -> float | None:
    """Return what a running job says that it still takes, by its steps."""
    activity = job and job["activity"]
    return activity.get("eta_seconds") if activity else None
