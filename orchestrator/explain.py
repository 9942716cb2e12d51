"""Says of every job of a plan what would become of it now, and why. Reads records, runs nothing."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from cluster.storage import Storage
from jobs.artifact import Artifact, Record
from jobs.job import Job, artifact_folder
from orchestrator.changes import changes
from orchestrator.plan import Plan
from orchestrator.study_folder import cell_key, read_index
from orchestrator.volume import Volume


class Decision(Enum):
    """What would become of a job."""

    REUSE = "reuse"
    """Its record stands, and so does every input it read."""
    NEW = "new"
    """It was never done."""
    CHANGED = "changed"
    """This cell was planned before as another job."""
    STALE = "stale"
    """Its record stands, but an input it read has other bytes now."""
    FAILED = "failed"
    """It failed, and its retries are spent."""
    BLOCKED = "blocked"
    """An input it needs has failed."""


RUNS = frozenset({Decision.NEW, Decision.CHANGED, Decision.STALE})
"""Decisions after which a launch does the job."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Explained:
    """A decision and its reason."""

    job: Job
    """The job."""
    decision: Decision
    """What would become of it."""
    why: str
    """One line."""
    bytes: int | None = None
    """Size of what it left behind; None when it is not done."""
    expected_bytes: int | None = None
    """Most bytes it may leave when it runs, as its kind expects; None where that is not known."""

    @property
    def most_bytes(self) -> int | None:
        """What it left, or else may leave: a stale job leaves about as much as before."""
        return self.expected_bytes if self.bytes is None else self.bytes


def explain(plan: Plan, root: Storage, failed: Mapping[str, str] | None = None) -> list[Explained]:
    """Decide every job, in the plan's order.

    Args:
        plan: the jobs.
        root: where records and the study's last plan are.
        failed: key -> what went wrong, for jobs whose retries are spent (from the ledger).
    """
    judge = _Judge(plan, root, failed or {})
    return [judge.decide(job) for job in plan.jobs]


def plan_document(plan: Plan, explained: list[Explained]) -> dict[str, Any]:
    """`plan.json` and `plan --json`; what is not known is null."""
    jobs = [
        {
            "key": each.job.key,
            "stage": each.job.stage,
            "kind": each.job.kind,
            "cell": dict(each.job.cell),
            "decision": each.decision.value,
            "why": each.why,
            "num_gpus": each.job.resources.num_gpus,
            "peak_memory_gb": None,
            "hours": None,
            "bytes": each.most_bytes,
        }
        for each in explained
    ]
    counts = Counter(each.decision for each in explained)
    sizes = {each.job.key: each for each in explained}.values()
    to_run = [each.most_bytes for each in sizes if each.decision in RUNS]
    totals = {
        "jobs": len(jobs),
        **{decision.value: counts[decision] for decision in Decision},
        "num_gpus": max((each.job.resources.num_gpus for each in explained), default=0),
        "peak_memory_gb": None,
        "hours": None,
        "bytes": sum(each.bytes or 0 for each in sizes),
        "bytes_to_write": sum(size for size in to_run if size is not None),
        "jobs_of_unknown_size": sum(size is None for size in to_run),
    }
    return {"study": plan.study.name, "jobs": jobs, "totals": totals}


class _Judge:
    """Decides jobs one by one, upstream first, remembering what it saw of each."""

    def __init__(self, plan: Plan, root: Storage, failed: Mapping[str, str]) -> None:
        self._plan = plan
        self._root = root
        self._failed = failed
        self._digests: dict[str, str] = {}
        self._decided: dict[str, Explained] = {}
        self._folders: dict[str, frozenset[str]] = {}
        self._previous: Mapping[Any, str] | None = None
        self._volume = Volume(plan.by_key)

    def decide(self, job: Job) -> Explained:
        """What becomes of one job whose upstream has been decided."""
        seen = self._decided.get(job.key)
        if seen is None:
            seen = self._fresh(job)
            if seen.decision in RUNS and seen.bytes is None:
                seen = replace(seen, expected_bytes=self._volume.expected(job))
            self._decided[job.key] = seen
            return seen
        # Another cell asks for the same work: one record, one decision.
        return replace(seen, job=job)

    def _fresh(self, job: Job) -> Explained:
        found = self._record(job)
        if found is None:
            return self._undone(job)
        record, self._digests[job.key] = found
        self._volume.done(job, record)
        size = sum(entry.bytes for entry in record.files.values())
        why = self._stale(job, record)
        if why is None:
            return Explained(job=job, decision=Decision.REUSE, why="done", bytes=size)
        return Explained(job=job, decision=Decision.STALE, why=why, bytes=size)

    def _record(self, job: Job) -> tuple[Record, str] | None:
        if not self._has_folder(job.kind, job.key16):
            return None
        return Artifact(self._root, job.kind, job.key).find_record()

    def _has_folder(self, kind: str, key16: str) -> bool:
        if kind not in self._folders:
            self._folders[kind] = frozenset(self._root.list(f"artifacts/{kind}"))
        return key16 in self._folders[kind]

    def _stale(self, job: Job, record: Record) -> str | None:
        for name, refs in job.inputs.items():
            for ref in refs:
                upstream = self._decided[ref.key]
                if upstream.decision is Decision.STALE:
                    return f"input {name}: {upstream.job.label} is stale"
                stands = self._digests.get(ref.key)
                if stands is not None and record.inputs.get(ref.key, stands) != stands:
                    return f"input {name}: {upstream.job.label} was made again with other bytes"
        return None

    def _undone(self, job: Job) -> Explained:
        if job.key in self._failed:
            return Explained(job=job, decision=Decision.FAILED, why=self._failed[job.key])
        for name, refs in job.inputs.items():
            for ref in refs:
                upstream = self._decided[ref.key]
                if upstream.decision in (Decision.FAILED, Decision.BLOCKED):
                    why = f"input {name}: {upstream.job.label} is {upstream.decision.value}"
                    return Explained(job=job, decision=Decision.BLOCKED, why=why)
        before = self._key_before(job)
        if before is None or before == job.key:
            return Explained(job=job, decision=Decision.NEW, why=self._remains(job))
        return Explained(job=job, decision=Decision.CHANGED, why=self._changes(job, before))

    def _key_before(self, job: Job) -> str | None:
        """Key of the job that this cell was at the last launch."""
        if self._previous is None:
            self._previous = read_index(self._root, self._plan.study.name)
        return self._previous.get(cell_key(job.stage, job.cell))

    def _remains(self, job: Job) -> str:
        if not self._has_folder(job.kind, job.key16):
            return "not run yet"
        if self._root.exists(f"{job.folder}/record.json"):
            return "its record is damaged, or files it lists are missing or cut short"
        return "started before, not finished"

    def _changes(self, job: Job, before: str) -> str:
        folder = artifact_folder(job.kind, before)
        try:
            asked = json.loads(self._root.read(f"{folder}/job.json"))
            found = changes(asked["identity"], job.identity, self._label)
        except (FileNotFoundError, NotADirectoryError, ValueError, KeyError):
            found = []
        return "; ".join(found) or f"this cell was {before[:16]} at the last launch"

    def _label(self, key: str) -> str:
        return self._plan.by_key[key].label
