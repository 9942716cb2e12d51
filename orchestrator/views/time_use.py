"""Where a study's time went, from its ledger alone: attempts, launches, waits, reused jobs."""

import time
from collections.abc import Mapping, Sequence

from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from jobs.artifacts.job import Job
from jobs.comparing.reporting.time_use import Fate, Reused, Span, TimeUse, Wait
from orchestrator.plan.decided_plan import DecidedPlan
from orchestrator.plan.decisions import Decision
from orchestrator.records import events, ledger
from orchestrator.records.failure import FAILURES, Result
from orchestrator.records.lock import current_holder
from orchestrator.text import first_line

_NOTHING_DONE = frozenset({Result.BUSY, Result.NO_ROOM})
"""Endings of attempts that never began."""


def time_use(root: Storage, decided: DecidedPlan) -> TimeUse:
    """Return what the ledger of a study says of its time.

    Args:
        root: the output root.
        decided: the study, as its root stands now.
    """
    study = decided.plan.study.name
    is_running = current_holder(root, study) is not None
    reader = _Reader(decided.plan.by_key, until=time.time() if is_running else None)
    for event in ledger.read_events(root, study):
        reader.take(event)
    reader.end()
    return TimeUse(
        spans=reader.spans,
        launches=reader.launches,
        waits=reader.waits,
        stages=list(dict.fromkeys(job.stage for job in decided.plan.jobs)),
        reused=_reused(root, decided, reader.keys),
    )


class _Reader:
    """Goes through a ledger, event by event."""

    def __init__(self, jobs: Mapping[str, Job], until: float | None) -> None:
        self.spans: list[Span] = []
        self.launches: list[tuple[float, float]] = []
        self.waits: list[Wait] = []
        self.keys: set[str] = set()
        self._jobs, self._until = jobs, until
        self._open: dict[str, events.Submitted] = {}
        self._began: float | None = None
        self._seen = 0.0
        self._wait: events.Waiting | None = None

    def take(self, event: events.Event) -> None:
        """Take in one event."""
        if isinstance(event, events.LaunchStarted):
            self._end_launch(self._seen)
            self._began = event.at
        self._seen = event.at
        if isinstance(event, events.LaunchEnded):
            self._end_launch(event.at)
        elif isinstance(event, events.Submitted):
            self._open[event.attempt] = event
            self.keys.add(event.key)
        elif isinstance(event, events.Ended):
            submitted = self._open.pop(event.attempt, None)
            if submitted is not None and event.result not in _NOTHING_DONE:
                self._add(submitted, event)
        elif isinstance(event, events.Waiting):
            self._end_wait(event.at)
            self._wait = event if event.fault_class else None

    def end(self) -> None:
        """Close what is open at the end of the ledger."""
        self._end_launch(self._until or self._seen, is_running=self._until is not None)

    def _end_launch(self, at: float, *, is_running: bool = False) -> None:
        self._end_wait(at)
        if self._began is not None:
            self.launches.append((self._began, max(self._began, at)))
        for submitted in self._open.values():
            fate = Fate.RUNNING if is_running else Fate.FAILED
            why = "" if is_running else "its launch was killed"
            self._append(submitted, submitted.at, at, at - submitted.at, fate, "", why)
        self._open.clear()
        self._began = None

    def _end_wait(self, at: float) -> None:
        if self._wait is not None:
            why = self._wait.message or "its surroundings"
            began = min(self._wait.since or self._wait.at, at)
            self.waits.append(Wait(began=began, ended=at, why=first_line(why)))
        self._wait = None

    def _add(self, submitted: events.Submitted, event: events.Ended) -> None:
        held = event.seconds if event.held is None else event.held
        # An ending is settled later than it was heard of, where a storage was away meanwhile.
        ended = min(event.at, submitted.at + max(held, event.seconds)) if held else event.at
        began = min(max(submitted.at, ended - event.seconds), ended)
        if event.result in FAILURES:
            fate = Fate.FAILED
        else:
            fate = Fate.DONE if event.result in (Result.DONE, Result.REUSED) else Fate.STOPPED
        why = first_line(event.message) if event.message else ""
        self._append(submitted, began, ended, held, fate, event.node or "", why)

    def _append(
        self,
        submitted: events.Submitted,
        began: float,
        ended: float,
        held: float,
        fate: Fate,
        node: str,
        why: str,
    ) -> None:
        job = self._jobs.get(submitted.key)
        self.spans.append(
            Span(
                stage=job.stage if job else "no longer planned",
                label=job.label if job else submitted.key[:16],
                node=node,
                submitted=submitted.at,
                began=began,
                ended=max(began, ended),
                fate=fate,
                num_gpus=submitted.num_gpus,
                held_s=max(0.0, held),
                why=why,
            )
        )


def _reused(root: Storage, decided: DecidedPlan, tried: set[str]) -> Mapping[str, Reused]:
    """Return stage -> its jobs that are done and were never tried here."""
    found: dict[str, list[Job]] = {}
    for key in decided.keys(Decision.REUSE) - tried:
        job = decided.by_key[key].job
        found.setdefault(job.stage, []).append(job)
    return {stage: _reused_stage(root, jobs) for stage, jobs in found.items()}


def _reused_stage(root: Storage, jobs: Sequence[Job]) -> Reused:
    if not root.is_local:  # every record is a request
        return Reused(jobs=len(jobs), hours=None)
    hours = gpu_hours = 0.0
    for job in jobs:
        found = Artifact(root, job.kind, job.key).find_record()
        took = found[0].seconds / 3600 if found else 0.0
        hours, gpu_hours = hours + took, gpu_hours + took * job.resources.num_gpus
    return Reused(jobs=len(jobs), hours=hours, gpu_hours=gpu_hours)
