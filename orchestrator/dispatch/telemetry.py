"""`Telemetry`: keeps what the attempts of a launch use, on a thread beside the loop.

The loop tells it of submissions and endings, a few assignments each. The thread reads the
heartbeats of what runs, and writes Parquet; where the storage is away it goes on later, and a fault
of its own ends it alone.
"""

import logging
import threading
import time
from collections.abc import Mapping
from contextlib import suppress

from cluster.errors import SurroundingsError
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from jobs.artifacts.job import Job
from jobs.liveness.heartbeat import read_heartbeats
from jobs.telemetry.attempt_use import AttemptUse
from jobs.telemetry.columns import Row
from jobs.telemetry.parts import Parts
from orchestrator.records.events import Ended, Event, Submitted

_logger = logging.getLogger(__name__)

SAMPLES_EVERY_S = {True: 10.0, False: 30.0}
"""On local and on remote roots, where each look costs requests."""
FLUSHES_EVERY_S = 60.0
_ENDS_WITHIN_S = 10.0
_MOST_SAMPLED = 200
"""Attempts that are looked at in one round on a remote root; the others come next."""
_SHORTEST_S = 1.0
"""Attempts that lasted less have no line: the ledger has them, and there may be 350 a second."""


class Telemetry:
    """What the attempts of one launch use."""

    def __init__(self, storage: Storage, study: str, launch: str, jobs: Mapping[str, Job]) -> None:
        self._storage, self._launch, self._jobs = storage, launch, jobs
        self._samples = Parts(storage, study, launch, "samples")
        self._attempts = Parts(storage, study, launch, "attempts")
        self._open: dict[str, tuple[Submitted, AttemptUse]] = {}
        self._changing = threading.Lock()
        self._is_over = threading.Event()
        self._thread: threading.Thread | None = None
        self._round = 0

    def note(self, event: Event) -> None:
        """Take note of what the ledger is told."""
        if isinstance(event, Submitted):
            with self._changing:
                self._open[event.attempt] = (event, AttemptUse())
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)
                with suppress(RuntimeError):  # no more threads: the launch goes on without
                    self._thread.start()
        elif isinstance(event, Ended):
            with self._changing:
                submitted, use = self._open.pop(event.attempt, (None, None))
                if submitted is not None and use is not None and _lasted(event):
                    self._attempts.add(self._line(submitted, event, use))

    def close(self) -> None:
        """End the thread, which writes what is left; it is not waited for where storage is away."""
        self._is_over.set()
        if self._thread is not None and self._thread.is_alive():
            self._thread.join(_ENDS_WITHIN_S)

    def _run(self) -> None:
        every_s, flushed_at = SAMPLES_EVERY_S[self._storage.is_local], time.monotonic()
        try:
            while not self._is_over.wait(every_s):
                with suppress(SurroundingsError):  # away: what was sampled waits in memory
                    self._sample()
                    if time.monotonic() - flushed_at >= FLUSHES_EVERY_S:
                        self._flush()
                        flushed_at = time.monotonic()
            with suppress(SurroundingsError):
                self._flush()
        except Exception:  # nothing of it may cost the launch anything
            _logger.exception("telemetry of this launch ends here; its jobs go on")

    def _sample(self) -> None:
        with self._changing:
            running = list(self._open.items())
        if not self._storage.is_local and len(running) > _MOST_SAMPLED:
            start = self._round * _MOST_SAMPLED % len(running)
            running = [*running[start:], *running[:start]][:_MOST_SAMPLED]
        self._round += 1
        for attempt, (submitted, use) in running:
            job = self._jobs[submitted.key]
            folder = Artifact(self._storage, job.kind, job.key).attempt_folder(attempt)
            heartbeats = read_heartbeats(self._storage, folder)
            with self._changing:
                for row in use.take(time.time(), heartbeats):
                    self._samples.add({**self._where(submitted), **row})

    def _flush(self) -> None:
        self._samples.flush()
        self._attempts.flush()

    def _where(self, submitted: Submitted) -> Row:
        job = self._jobs[submitted.key]
        return {
            "launch": self._launch,
            "attempt": submitted.attempt,
            "key": job.key,
            "stage": job.stage,
            "kind": job.kind,
            "cell": ",".join(f"{axis}={value}" for axis, value in job.cell.items()),
        }

    def _line(self, submitted: Submitted, ended: Ended, use: AttemptUse) -> Row:
        held = ended.seconds if ended.held is None else ended.held
        waited = max(0.0, ended.at - submitted.at - ended.seconds)
        summary = use.summary()
        memory = [gb for gb in (summary.get("memory_gb"), ended.peak_gb) if gb is not None]
        return {
            "submitted_at": round(submitted.at * 1000),
            "ended_at": round(ended.at * 1000),
            **self._where(submitted),
            **summary,
            "node": ended.node or summary["node"],
            "result": ended.result.value,
            "seconds": ended.seconds,
            "held_s": held,
            "queued_s": round(waited, 3),
            "num_gpus": submitted.num_gpus,
            "gpu_hours": round(held * submitted.num_gpus / 3600, 6),
            "memory_gb": max(memory, default=None),
        }


def _lasted(event: Ended) -> bool:
    return max(event.seconds, event.held or 0.0) >= _SHORTEST_S
