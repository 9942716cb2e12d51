"""What a person sees of a running launch: a live view on a terminal, plain lines anywhere else."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO

from jobs.artifacts.job import Job
from orchestrator.dispatch.job_states import JobState
from orchestrator.records.failure import RETRIES, Result
from orchestrator.text import duration, first_line

_SUMMARY_EVERY_S = 5.0
_WORTH_A_LINE_S = 2.0
"""Jobs shorter than this are only counted."""


@dataclass(frozen=True, kw_only=True)
class Running:
    """One attempt that somebody watches."""

    job: Job
    """What it is at."""
    since: float
    """When it was submitted, by the monotonic clock."""


def crews(running: Mapping[str, Running]) -> list[list[str]]:
    """Attempts grouped by the job they share, in the order in which the jobs began."""
    found: dict[str, list[str]] = {}
    for attempt, one in running.items():
        found.setdefault(one.job.key, []).append(attempt)
    return list(found.values())


class PlainLines:
    """One line for every job of some length, for every failure, and now and then a summary."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._running: dict[str, Running] = {}
        self._said = ""
        self._said_at = time.monotonic()

    def started(self, job: Job, attempt: str) -> None:
        """Remember when."""
        self._running[attempt] = Running(job=job, since=time.monotonic())

    def ended(self, job: Job, attempt: str, result: Result, message: str | None) -> None:
        """Tell of long jobs, and of failures that are tried again."""
        seconds = time.monotonic() - self._running.pop(attempt).since
        if result in RETRIES:
            self._say(f"{result.value}: {job.label}: {first_line(message)}")
        elif result is Result.DONE and seconds >= _WORTH_A_LINE_S:
            self._say(f"done: {job.label}, {duration(seconds)}")

    def dropped(self, job: Job, state: JobState, because: str) -> None:
        """Tell of what will not be done."""
        self._say(f"{state.value}: {job.label}: {first_line(because)}")

    def tick(self, counts: Mapping[JobState, int]) -> None:
        """A summary every few seconds, and one at the end, when it says something new."""
        over = not counts[JobState.WAITING] and not counts[JobState.RUNNING]
        text = summary(counts)
        if text != self._said and (over or time.monotonic() - self._said_at > _SUMMARY_EVERY_S):
            self._said, self._said_at = text, time.monotonic()
            self._say(text)

    def _say(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()


def summary(counts: Mapping[JobState, int]) -> str:
    """`12 of 40 done, 2 running, 26 waiting`; what is zero is left out."""
    parts = [f"{counts[JobState.DONE]} of {sum(counts.values())} done"]
    for state in JobState:
        if state is not JobState.DONE and counts[state]:
            parts.append(f"{counts[state]} {state.value}")
    return ", ".join(parts)
