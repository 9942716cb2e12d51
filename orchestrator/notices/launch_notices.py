"""Decides when people are told of a launch: first failure, long waits, set-aside nodes, the end."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Protocol

from jobs.artifacts.job import Job
from orchestrator.dispatch.job_states import JobState
from orchestrator.dispatch.nodes.quarantine import Quarantined
from orchestrator.dispatch.waiting.outage import Wait
from orchestrator.dispatch.watcher import Watcher
from orchestrator.notices.way import Notice, Occasion
from orchestrator.notices.wording import sentence
from orchestrator.printed_commands import as_typed
from orchestrator.text import duration, pluralize

LONG_WAIT_S = 1800.0
"""A wait is told of once it has lasted so long."""
_GATHERED_S = 10.0
"""How long after a first failure others are counted before it is told of: one fault fails many."""
_MOST_NODES = 4
"""Nodes set aside that one launch tells of."""
_MOST_WAITS = 6
"""Waits that one launch tells of; the digest at its end has the rest."""


class TakesNotices(Protocol):
    """What takes notices, to send them."""

    def send(self, notice: Notice) -> None:
        """Take one; returns at once."""


class LaunchNotices(Watcher):
    """Watches a launch, and tells people what they want to know at night.

    Args:
        study: name of the study.
        sender: takes the notices.
        clock: gives seconds, from any beginning.
    """

    def __init__(
        self, study: str, sender: TakesNotices, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._study, self._sender, self._clock = study, sender, clock
        self._failed: list[tuple[Job, str]] = []
        self._failed_at: float | None = None
        self._is_failure_told = False
        self._wait: Wait | None = None
        self._wait_since = 0.0
        self._is_wait_told = False
        self._num_waits_told = 0
        self._set_aside: set[str] = set()
        self.waited: Counter[str] = Counter()
        """What was waited for -> seconds."""

    def note_drop(self, job: Job, state: JobState, because: str) -> None:
        """Count a job that failed for good."""
        if state is JobState.FAILED:
            self._failed_at = self._clock() if self._failed_at is None else self._failed_at
            self._failed.append((job, because))

    def note_wait(self, wait: Wait | None) -> None:
        """Take note of what is waited for from now on."""
        self._count_wait()
        self._wait, self._wait_since, self._is_wait_told = wait, self._clock(), False

    def _count_wait(self) -> None:
        if self._wait is not None:
            self.waited[self._wait.fault_class.value] += round(self._clock() - self._wait_since)
        self._wait_since = self._clock()

    def note_quarantine(self, quarantined: Quarantined) -> None:
        """Tell of a node that is set aside, the first few."""
        if quarantined.until <= quarantined.since or quarantined.node in self._set_aside:
            return
        self._set_aside.add(quarantined.node)
        if len(self._set_aside) <= _MOST_NODES:
            self._say(
                Occasion.QUARANTINE,
                f"{self._study}: node {quarantined.node} gets no jobs for now",
                sentence(quarantined.why),
            )

    def tick(self, counts: Mapping[JobState, int]) -> None:
        """Tell what is due."""
        self._tell_failure()
        self._tell_wait()

    def finish(self) -> Mapping[str, int]:
        """Return what was waited for -> seconds, the wait that goes on included."""
        self._count_wait()
        return self.waited

    def _tell_failure(self) -> None:
        if self._failed_at is None or self._is_failure_told:
            return
        if self._clock() - self._failed_at < _GATHERED_S:
            return
        self._is_failure_told = True
        (job, because), more = self._failed[0], len(self._failed) - 1
        others = f", and {pluralize(more, 'other')} in {_GATHERED_S:g} s" if more else ""
        self._say(
            Occasion.FAILURE,
            f"{self._study}: a job failed for good: {job.label}{others}",
            f"{sentence(because)}\nThe others go on. "
            + as_typed(f"`deltascale status {self._study}` lists what failed; ")
            + "further failures are told of at the end.",
        )

    def _tell_wait(self) -> None:
        wait = self._wait
        if wait is None or self._is_wait_told or self._num_waits_told >= _MOST_WAITS:
            return
        waited_s = self._clock() - self._wait_since
        if waited_s < LONG_WAIT_S:
            return
        self._is_wait_told = True
        self._num_waits_told += 1
        self._say(
            Occasion.WAIT,
            f"{self._study}: has been waiting for {duration(waited_s)}",
            sentence(str(wait)),
        )

    def _say(self, occasion: Occasion, title: str, text: str) -> None:
        self._sender.send(Notice(occasion=occasion, study=self._study, title=title, text=text))
