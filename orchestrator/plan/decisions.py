"""Says of every job of a plan what would become of it now, and why. Reads records, runs nothing."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from cluster.resources import Resources
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact, Record
from jobs.artifacts.job import Job, artifact_folder
from jobs.kind import Fit
from orchestrator.plan.fitting import fit, unfit
from orchestrator.plan.identity_diff import changes
from orchestrator.plan.plan import Plan
from orchestrator.plan.study_folder import cell_key, read_index
from orchestrator.plan.upstream_facts import UpstreamFacts
from orchestrator.plan.volume import expected_bytes
from orchestrator.records.history import History


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
    """An input it needs has failed, or will not fit."""
    WILL_NOT_FIT = "will-not-fit"
    """It is not done, and the machines planned for cannot hold it."""


RUNS = frozenset({Decision.NEW, Decision.CHANGED, Decision.STALE})
"""Decisions after which a launch does the job."""


_BARS = frozenset({Decision.FAILED, Decision.BLOCKED, Decision.WILL_NOT_FIT})
"""Decisions that leave the jobs below without an input."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JobDecision:
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

    fit: Fit | None = None
    """How its kind would lay it out on the machines planned for; None where it leaves that, or the
    plan is for none."""

    @property
    def num_gpus(self) -> float:
        """Accelerators it would hold, all ranks together."""
        return (self.job.resources if self.fit is None else self.fit.resources).total.num_gpus

    @property
    def most_bytes(self) -> int | None:
        """What it left, or else may leave: a stale job leaves about as much as before."""
        return self.expected_bytes if self.bytes is None else self.bytes


def decide_jobs(
    plan: Plan,
    root: Storage,
    failed: Mapping[str, str] | None = None,
    *,
    machines: Sequence[Resources] | None = None,
    past: History | None = None,
) -> list[JobDecision]:
    """Decide every job, in the plan's order.

    Args:
        plan: the jobs.
        root: where records and the study's last plan are.
        failed: key -> what went wrong, for jobs whose retries are spent (from the ledger).
        machines: nodes to plan for; None leaves open where the jobs will run.
        past: what the ledger says of earlier launches.
    """
    judge = _Judge(plan, root, failed or {}, machines, past or History())
    for job in plan.jobs:
        judge.look(job)
    return [judge.decide(job) for job in plan.jobs]


class _Judge:
    """Decides jobs one by one, upstream first, remembering what it saw of each."""

    def __init__(
        self,
        plan: Plan,
        root: Storage,
        failed: Mapping[str, str],
        machines: Sequence[Resources] | None,
        past: History,
    ) -> None:
        self._plan = plan
        self._root = root
        self._failed = failed
        self._digests: dict[str, str] = {}
        self._decided: dict[str, JobDecision] = {}
        self._folders: dict[str, frozenset[str]] = {}
        self._previous: Mapping[Any, str] | None = None
        self._machines = machines
        self._past = past
        self._records: dict[str, Record] = {}
        self._known = UpstreamFacts(plan.by_key, lambda job: self._records.get(job.key))

    def look(self, job: Job) -> None:
        """See what a job left; all jobs, before the first is decided: predictions learn of it."""
        if job.key in self._digests or not self._has_folder(job.kind, job.key16):
            return
        found = Artifact(self._root, job.kind, job.key).find_record()
        if found is not None:
            self._records[job.key], self._digests[job.key] = found
            self._known.done(job)

    def decide(self, job: Job) -> JobDecision:
        """What becomes of one job whose upstream has been decided."""
        seen = self._decided.get(job.key)
        if seen is None:
            seen = self._fresh(job)
            if seen.decision in RUNS:
                seen = self._measured(seen)
            self._decided[job.key] = seen
            return seen
        # Another cell asks for the same work: one record, one decision.
        return replace(seen, job=job)

    def _fresh(self, job: Job) -> JobDecision:
        record = self._records.get(job.key)
        if record is None:
            return self._undone(job)
        size = sum(entry.bytes for entry in record.files.values())
        why = self._stale(job, record)
        if why is None:
            return JobDecision(job=job, decision=Decision.REUSE, why="done", bytes=size)
        return JobDecision(job=job, decision=Decision.STALE, why=why, bytes=size)

    def _measured(self, seen: JobDecision) -> JobDecision:
        """With what it may write, and how the machines would hold it."""
        job = seen.job
        if seen.bytes is None:
            seen = replace(seen, expected_bytes=expected_bytes(job, self._known))
        if self._machines is None:
            return seen
        found = fit(job, self._machines, self._past.of(job.key), self._known)
        why_not = unfit(job, found, self._machines)
        if why_not is not None:
            return replace(seen, decision=Decision.WILL_NOT_FIT, why=why_not, fit=found)
        return replace(seen, fit=found)

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

    def _undone(self, job: Job) -> JobDecision:
        if job.key in self._failed:
            return JobDecision(job=job, decision=Decision.FAILED, why=self._failed[job.key])
        for name, refs in job.inputs.items():
            for ref in refs:
                upstream = self._decided[ref.key]
                if upstream.decision in _BARS:
                    why = f"input {name}: {upstream.job.label} is {upstream.decision.value}"
                    return JobDecision(job=job, decision=Decision.BLOCKED, why=why)
        before = self._key_before(job)
        if before is None or before == job.key:
            return JobDecision(job=job, decision=Decision.NEW, why=self._remains(job))
        return JobDecision(job=job, decision=Decision.CHANGED, why=self._changes(job, before))

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
