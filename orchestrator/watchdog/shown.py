"""What a running job is really doing, and since when, for whoever looks on from outside.

One look has no history, so it goes by what the heartbeats say of themselves and by the age of their
files, which the storage's own clock tells.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from cluster.errors import SurroundingsError
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from jobs.artifacts.job import Job
from jobs.liveness.heartbeat import Heartbeat, Phase, heartbeat_name, last_heartbeats
from orchestrator.watchdog.limits import Limits
from orchestrator.watchdog.rules import WELL, Judgement, RankSigns, Verdict, furthest_behind, judge


def show_signs(storage: Storage, job: Job, attempts: Mapping[str, float]) -> dict[str, Any]:
    """Return as JSON what a running job is doing; of several workers, what the foremost does.

    It counts as slow or hung by the usual limits.

    Args:
        storage: the output root.
        job: the job.
        attempts: its attempts that have not ended -> when they were submitted, in seconds since
            the epoch.

    Returns:
        `phase` and `since` (seconds since the epoch) of the rank that is furthest behind; where
        known its `node`, `step`, `steps`, `unit`, `rate` (steps a second), `step_seconds`
        (`longest` and `median`), `eta_seconds`, `memory_gb`, `gpu_memory_gb`, `gpu_use`;
        `silent_seconds` since its last beat; `health` (`well`, `slow`, `silent`, `hung`) with
        `why`; and `ranks`, one object for each. A job without any heartbeat has `phase` and
        `since` alone: `queued`, or `placing` once a process has begun it.
    """
    artifact = Artifact(storage, job.kind, job.key)
    shown = [
        (folder, beats)
        for attempt in attempts
        if (beats := last_heartbeats(storage, folder := artifact.attempt_folder(attempt)))
    ]
    if not shown:
        since = min(attempts.values(), default=None)
        return {"phase": _before_beats(storage, artifact, attempts).value, "since": since}
    folder, beats = max(shown, key=lambda one: min(beat.step or 0 for beat in one[1]))
    signs = [_signs(storage, folder, beat) for beat in beats]
    return _document(signs, judge(signs, Limits()))


def _before_beats(storage: Storage, artifact: Artifact, attempts: Iterable[str]) -> Phase:
    try:
        begun = any(storage.exists(artifact.attempt_folder(attempt)) for attempt in attempts)
    except SurroundingsError:
        begun = False
    return Phase.PLACING if begun else Phase.QUEUED


def _signs(storage: Storage, folder: str, beat: Heartbeat) -> RankSigns:
    try:
        silent_s = storage.age_s(heartbeat_name(folder, beat.rank)) or 0.0
    except (FileNotFoundError, SurroundingsError):
        silent_s = 0.0
    return RankSigns(heartbeat=beat, idle_s=(beat.idle_s or 0.0) + silent_s, silent_s=silent_s)


def _document(signs: Sequence[RankSigns], judgement: Judgement) -> dict[str, Any]:
    behind = furthest_behind(signs)[0]
    beat, is_doubtful = behind.heartbeat, judgement.verdict is Verdict.DOUBTFUL
    left = beat.steps - beat.step if beat.steps and beat.step is not None else None
    return {
        "phase": beat.phase.value,
        "since": beat.since,
        "node": beat.node,
        "step": beat.step,
        "steps": beat.steps,
        "unit": beat.unit,
        "rate": beat.rate,
        "step_seconds": {"longest": beat.longest_s, "median": beat.median_s},
        "eta_seconds": round(left / beat.rate, 1) if left is not None and beat.rate else None,
        "memory_gb": beat.memory_gb,
        "gpu_memory_gb": beat.gpu_memory_gb,
        "gpu_use": beat.gpu_use,
        "silent_seconds": round(behind.silent_s, 1),
        "health": ("slow" if is_doubtful else judgement.verdict.name.lower()),
        "why": None if judgement is WELL else judgement.why,
        "ranks": [{**asdict(one.heartbeat), "phase": one.heartbeat.phase.value} for one in signs],
    }
