"""The progress of a launch as plain lines, for anything that is not a terminal."""

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TextIO

from jobs.artifacts.job import Job
from orchestrator.dispatch.job_states import JobState
from orchestrator.dispatch.nodes.quarantine import Quarantined
from orchestrator.dispatch.waiting.outage import Wait
from orchestrator.dispatch.watcher import Watcher
from orchestrator.records.failure import FAILURES, Result
from orchestrator.records.failure_decision import NOT_AGAIN
from orchestrator.text import duration, first_line, printable

_SUMMARY_EVERY_S = 5.0
_WORTH_A_LINE_S = 2.0
"""Jobs shorter than this are only counted."""


@dataclass(frozen=True, kw_only=True)
class Running:
    """One running attempt."""

    job: Job
    """The job it is at."""
    since: float
    """When the attempt was submitted, in seconds by the monotonic clock."""


def attempts_by_job(running: Mapping[str, Running]) -> list[list[str]]:
    """Group attempts by the job they share, in the order in which the jobs began."""
    by_job: dict[str, list[str]] = {}
    for attempt, at_work in running.items():
        by_job.setdefault(at_work.job.key, []).append(attempt)
    return list(by_job.values())


class PlainLines(Watcher):
    """Prints a line for every longer job, for every failure, and now and then a summary."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._running: dict[str, Running] = {}
        self._given_up: set[str] = set()
        self._summary = ""
        self._summary_at = time.monotonic()

    def note_start(self, job: Job, attempt: str) -> None:
        """Remember when the attempt was submitted."""
        self._given_up.discard(job.key)
        self._running[attempt] = Running(job=job, since=time.monotonic())

    def note_end(self, job: Job, attempt: str, result: Result, message: str | None) -> None:
        """Print long jobs, and failures that are tried again."""
        seconds = time.monotonic() - self._running.pop(attempt).since
        if result in FAILURES:
            if message and NOT_AGAIN in message:
                self._given_up.add(job.key)
            self._print(f"{result.value}: {job.label}: {first_line(message)}")
        elif result is Result.DONE and seconds >= _WORTH_A_LINE_S:
            self._print(f"done: {job.label}, {duration(seconds)}")

    def note_liveness(self, job: Job, attempt: str, text: str) -> None:
        """Print that a running attempt is slow, silent or hung, and why."""
        self._print(f"{job.label}: {first_line(text)}")

    def note_drop(self, job: Job, state: JobState, because: str) -> None:
        """Print that a job will not be done, and why, unless the line before this said so."""
        if state is JobState.FAILED and job.key in self._given_up:
            return
        self._print(f"{state.value}: {job.label}: {first_line(because)}")

    def note_quarantine(self, quarantined: Quarantined) -> None:
        """Print that a node gets no jobs for a while."""
        self._print(str(quarantined))

    def note_wait(self, wait: Wait | None) -> None:
        """Print what is waited for, and that the wait is over."""
        self._print(str(wait) if wait else "the wait is over")

    def note_line(self, text: str) -> None:
        """Print it."""
        self._print(text)

    def tick(self, counts: Mapping[JobState, int]) -> None:
        """Print a summary every few seconds and at the end, when it has changed."""
        is_over = not counts[JobState.WAITING] and not counts[JobState.RUNNING]
        text = summary(counts)
        if text != self._summary and (
            is_over or time.monotonic() - self._summary_at > _SUMMARY_EVERY_S
        ):
            self._summary, self._summary_at = text, time.monotonic()
            self._print(text)

    def _print(self, line: str) -> None:
        with suppress(OSError):  # nobody reads any more: the terminal or pipe was closed
            self._stream.write(printable(line) + "\n")
            self._stream.flush()


def summary(counts: Mapping[JobState, int]) -> str:
    """Return `12 of 40 done, 2 running, 26 waiting`; states of no job are left out."""
    parts = [f"{counts[JobState.DONE]} of {sum(counts.values())} done"]
    for state in JobState:
        if state is not JobState.DONE and counts[state]:
            parts.append(f"{counts[state]} {state.value}")
    return ", ".join(parts)
