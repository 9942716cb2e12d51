"""The past of one job: tries, failures that count, time spent, last message."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from cluster.fault_classes import FaultClass
from orchestrator.records import events
from orchestrator.records.failure import (
    FAILURES,
    REPEATS,
    RETRIES,
    Result,
    class_of_result,
    has_spent_retries,
    is_for_all,
)
from orchestrator.text import first_line

_NUMBERS = re.compile(r"0x[0-9a-f]+|[0-9]+(?:\.[0-9]+)?")
"""What differs from attempt to attempt in one and the same message: ids, addresses, sizes."""


@dataclass(kw_only=True, slots=True)
class JobHistory:
    """The past of one job, added up event by event."""

    num_attempts: int = 0
    """Attempts submitted, without those that another launch kept from starting."""
    failures: Counter[FaultClass] = field(default_factory=Counter)
    """Failures that count, by class, since the retry budget was last renewed."""
    seconds: float = 0.0
    """Wall time of all its attempts that ended."""
    gpu_seconds: float = 0.0
    """How long each attempt held accelerators, times how many, summed; also of attempts whose
    launch was killed, until it last said that it was alive."""
    peak_gb: float = 0.0
    """Most host memory that an attempt that did the job held, in 10^9 bytes; 0: not measured."""
    attempt: str | None = None
    """Attempt that was submitted last."""
    open: dict[str, float] = field(default_factory=dict)
    """Attempts that have not ended -> when they were submitted."""
    result: Result | None = None
    """How the latest attempt ended; a DONE stays until the job is submitted again."""
    fault_class: FaultClass | None = None
    """Whose fault it is that the latest attempt failed; None where it did not."""
    message: str | None = None
    """Message of the latest failure."""
    stopped: str | None = None
    """What the latest attempt had saved when it was cancelled; None where it was not."""
    failed: events.Ended | None = None
    """The latest attempt that failed."""
    refused: str | None = None
    """Why no machine of the latest launch could hold the job."""
    submitted: events.Submitted | None = None
    """The latest submission, with the layout of the job."""
    tried: list[Mapping[str, object]] = field(default_factory=list)
    """Layouts that ran out of memory since the retry budget was last renewed, oldest first."""
    fraction: float = 0.0
    """How far the job was at most when an attempt failed, from 0 to 1."""
    ends: dict[tuple[str, str], str] = field(default_factory=dict)
    """Signature and place of failures since the job last got further -> the first such attempt."""
    repeated: str | None = None
    """Attempt that had failed in the same way at the same place as the latest one before the job
    was given up for it; None where none had."""

    @property
    def open_since(self) -> float | None:
        """When the oldest running attempt was submitted; None when none runs."""
        return min(self.open.values(), default=None)

    @property
    def given_up(self) -> bool:
        """True when the job is not tried again: its retries are spent, or it fails the same way."""
        return self.repeated is not None or has_spent_retries(self.failures)


def renew(job: JobHistory) -> None:
    """Give a job a fresh retry budget."""
    job.failures.clear()
    job.ends.clear()
    job.repeated = job.refused = None
    _forget_layouts(job)


def add_to_job(job: JobHistory, event: events.Submitted | events.Ended | events.Refused) -> None:
    """Add one event to the past of its job."""
    if isinstance(event, events.Submitted):
        job.num_attempts += 1
        if not job.open:
            job.result = job.fault_class = job.stopped = None
        job.attempt, job.submitted = event.attempt, event
        job.open[event.attempt] = event.at
        return
    if isinstance(event, events.Refused):
        job.open.clear()
        job.refused = job.message = event.message
        return
    fault_class = event.fault_class or class_of_result(event.result)
    job.open.pop(event.attempt, None)
    if job.result is not Result.DONE:
        job.result, job.fault_class = event.result, fault_class
    job.seconds += event.seconds
    if event.result is Result.DONE and event.peak_gb:
        job.peak_gb = max(job.peak_gb, event.peak_gb)
    if event.result is Result.CANCELLED:
        job.stopped = event.message
    if event.result in (Result.BUSY, Result.NO_ROOM):
        job.num_attempts -= 1
        job.message = event.message or job.message
    if event.result in FAILURES and fault_class is not None:
        job.failed = event
        job.message = event.message if not job.given_up else job.message
        # Other workers take over the work of one that failed; a mistake would meet them all.
        if not job.open or is_for_all(fault_class):
            _charge(job, fault_class, event.fraction or 0.0)
            _compare_end(job, fault_class, event)


def _compare_end(job: JobHistory, fault_class: FaultClass, event: events.Ended) -> None:
    """Note how an attempt failed and where; the job is given up when one before it did the same.

    Faults of the surroundings do not count, nor does a process that died without a known cause.
    """
    signature = signature_of(fault_class, event)
    if signature is None:
        return
    laid_out = job.submitted.execution if job.submitted else {}
    at = f"step {event.step}" if event.step is not None else f"{event.fraction or 0.0:.6f}"
    place = f"{at} {sorted(laid_out.items())}"
    before = job.ends.setdefault((signature, place), event.attempt)
    if before != event.attempt:
        job.repeated = before


def signature_of(fault_class: FaultClass, event: events.Ended) -> str | None:
    """Return what tells one failure from another; None where nothing is known, or it may pass."""
    if fault_class not in REPEATS or (event.signal == "SIGKILL" and event.signature is None):
        return None
    cause = event.signature or event.signal or event.exit_code
    if cause is not None:
        return f"{fault_class.value}: {cause}"
    if fault_class is FaultClass.LOST_PROCESS:
        return None
    line = first_line(event.message or "")
    return f"{fault_class.value}: {_NUMBERS.sub('#', line)}" if line else None


def _forget_layouts(job: JobHistory) -> None:
    """Let the kind choose any layout again, but keep one that did not run out of memory."""
    if job.submitted is not None and job.submitted.execution in job.tried:
        job.submitted = None
    job.tried.clear()


def _charge(job: JobHistory, fault_class: FaultClass, fraction: float) -> None:
    """Count a failure; a job that got further than ever before has its budgets back first."""
    if fraction > job.fraction:
        job.fraction = fraction
        job.failures.clear()
        job.ends.clear()
        if fault_class is FaultClass.PREEMPTED:
            return
    laid_out = job.submitted.execution if job.submitted else {}
    if fault_class is FaultClass.OUT_OF_MEMORY and laid_out and laid_out not in job.tried:
        job.tried.append(laid_out)
        job.fraction = 0.0  # in another layout the job may begin again
    elif fault_class in RETRIES:
        job.failures[fault_class] += 1
