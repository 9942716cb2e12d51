"""Decides of every job of a plan what a launch would do with it, and why.

Reads records and the index of the last launch; runs nothing.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from cluster.disk.disk_faults import ForeignEntry
from cluster.machine.resources import Resources
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact, Record
from jobs.artifacts.job import Job, artifact_folder
from jobs.artifacts.request import readable_request
from jobs.kind import KINDS, Fit
from orchestrator.plan.fitting import choose_fit, why_unfit
from orchestrator.plan.identity_diff import describe_changes
from orchestrator.plan.plan import Plan
from orchestrator.plan.retention import keys_read_by
from orchestrator.plan.study_folder import CellKey, cell_key, read_index
from orchestrator.plan.upstream_facts import UpstreamFacts
from orchestrator.records.history import History


class Decision(Enum):
    """What a launch would do with a job."""

    REUSE = "reuse"
    """Nothing: the job is done, and every input it read is as it was."""
    NEW = "new"
    """Run it: the job was never done."""
    CHANGED = "changed"
    """Run it: at the last launch this cell was another job."""
    STALE = "stale"
    """Run it again: an input that it read has other bytes now."""
    REMAKE = "remake"
    """Run it again: its large files were let go, and are asked for."""
    FAILED = "failed"
    """Nothing: the job failed, and its retries are spent."""
    BLOCKED = "blocked"
    """Nothing: an input of the job has failed, or will not fit."""
    WILL_NOT_FIT = "will-not-fit"
    """Nothing: the machines planned for cannot hold the job."""


RUNS = frozenset({Decision.NEW, Decision.CHANGED, Decision.STALE, Decision.REMAKE})
"""Decisions after which a launch runs the job."""


READABLE = frozenset({Decision.REUSE, Decision.REMAKE})
"""Decisions on jobs whose facts and measurements are there and hold, whatever else is to run."""


BLOCKING = frozenset({Decision.FAILED, Decision.BLOCKED, Decision.WILL_NOT_FIT})
"""Decisions that leave the jobs downstream without an input."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JobDecision:
    """The decision for one job, with its reason and what is expected of the job."""

    job: Job
    """The job."""
    decision: Decision
    """What a launch would do with it."""
    why: str
    """The reason, in one line."""
    bytes: int | None = None
    """Bytes that the job left behind; None when it is not done."""
    expected_bytes: int | None = None
    """Most bytes that it may leave when it runs, as its kind expects; None where not known."""
    temporary_bytes: int = 0
    """Most bytes that it puts into the temp folder of a node while it runs, to open models."""
    absent: tuple[str, ...] = ()
    """Files of the user's data that are not here; with any, the key of the job is not known."""
    is_let_go: bool = False
    """True where large files of the job were let go after it was done."""
    fit: Fit | None = None
    """How its kind would lay it out on the machines planned for; None where the kind leaves that
    open, or the plan is for no machines."""

    @property
    def num_gpus(self) -> float:
        """Accelerators that the job would hold, all ranks together."""
        return (self.job.resources if self.fit is None else self.fit.resources).total.num_gpus

    @property
    def gpu_hours(self) -> float | None:
        """Wall time expected of it, times the accelerators it holds; None where not known."""
        hours = self.fit.hours if self.fit is not None else None
        return None if hours is None else hours * self.num_gpus

    @property
    def most_bytes(self) -> int | None:
        """Bytes that it left, or else may leave: a stale job leaves about as much as before."""
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
        root: where records and the index of the study's last launch are.
        failed: key -> what went wrong, for jobs whose retries are spent (from the ledger).
        machines: nodes to plan for; None leaves open where the jobs will run.
        past: what the ledger says of earlier launches.
    """
    judge = _Judge(plan, root, failed or {}, machines, past or History())
    # Predictions of one job use the facts of all that are done, so records are read first.
    for job in plan.jobs:
        judge.read_record(job)
    return judge.recall([judge.decide(job) for job in plan.jobs])


class _Judge:
    """Decides jobs one by one, upstream first, from the records it has read."""

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
        self._decisions: dict[str, JobDecision] = {}
        self._folders: dict[str, frozenset[str]] = {}
        self._previous: Mapping[CellKey, str] | None = None
        self._machines = machines
        self._past = past
        self._records: dict[str, Record] = {}
        self._upstream = UpstreamFacts(plan.by_key, lambda job: self._records.get(job.key))

    def read_record(self, job: Job) -> None:
        """Read the record of a job, if it has left one."""
        if job.key in self._digests or not self._has_folder(job.kind, job.key16):
            return
        record_and_digest = Artifact(self._root, job.kind, job.key).find_record()
        if record_and_digest is not None:
            self._records[job.key], self._digests[job.key] = record_and_digest
            self._upstream.add_done(job)

    def decide(self, job: Job) -> JobDecision:
        """Decide one job whose upstream has been decided."""
        earlier = self._decisions.get(job.key)
        if earlier is not None:
            # Another cell asks for the same work: one record, one decision.
            return replace(earlier, job=job)
        decision = self._decide(job)
        if decision.decision in RUNS:
            decision = self._predict(decision)
        self._decisions[job.key] = decision
        return decision

    def _decide(self, job: Job) -> JobDecision:
        record = self._records.get(job.key)
        if record is None:
            return self._decide_undone(job)
        files = record.files if record.let_go is None else record.standing
        size = sum(entry.bytes for entry in files.values())
        why = self._why_stale(job, record)
        decision, is_let_go = Decision.REUSE, record.let_go is not None
        if why is not None:
            size, decision = sum(entry.bytes for entry in record.files.values()), Decision.STALE
        elif record.let_go is not None:
            day = time.strftime("%Y-%m-%d", time.localtime(record.let_go.at))
            why = f"done; its large files were let go on {day}"
        return JobDecision(
            job=job, decision=decision, why=why or "done", bytes=size, is_let_go=is_let_go
        )

    def recall(self, decisions: list[JobDecision]) -> list[JobDecision]:
        """Decide anew on jobs whose files were let go and are asked for, downstream first.

        They are asked for by a job that is to run and reads them, and by a stage that keeps them.
        """
        if not any(item.is_let_go for item in decisions):
            return decisions
        stages = self._plan.study.stages
        wanted: dict[str, str] = {}
        for item in reversed(decisions):
            job = item.job
            if item.is_let_go and stages[job.stage].keep == "always":
                wanted.setdefault(job.key, f"the stage {job.stage} keeps them")
            runs = item.decision in RUNS or (item.is_let_go and job.key in wanted)
            if runs and not KINDS.find(job.kind).GATHERS:
                read = keys_read_by(job, self._plan.by_key)
                wanted.update(dict.fromkeys(read, f"{job.label} reads them"))
        remade: dict[str, JobDecision] = {}
        for at, item in enumerate(decisions):
            why = wanted.get(item.job.key)
            if item.is_let_go and item.decision is Decision.REUSE and why is not None:
                if item.job.key not in remade:
                    remade[item.job.key] = self._remake(item, why)
                decisions[at] = replace(remade[item.job.key], job=item.job)
        return decisions

    def _remake(self, item: JobDecision, why: str) -> JobDecision:
        """Decide on a job whose files were let go and are asked for."""
        job = item.job
        if job.key in self._failed:
            return replace(item, decision=Decision.FAILED, why=self._failed[job.key])
        return self._predict(
            replace(
                item,
                decision=Decision.REMAKE,
                why=f"{item.why.removeprefix('done; ')}, and {why}",
                bytes=sum(entry.bytes for entry in self._records[job.key].files.values()),
            )
        )

    def _predict(self, decision: JobDecision) -> JobDecision:
        """Add what the job may write, and how the machines would hold it."""
        job = decision.job
        if decision.bytes is None:
            decision = replace(decision, expected_bytes=self._upstream.expected_bytes(job))
        if temporary_bytes := self._upstream.temporary_bytes(job):
            decision = replace(decision, temporary_bytes=temporary_bytes)
        if self._machines is None:
            return decision
        layout = choose_fit(job, self._machines, self._past.of_job(job.key), self._upstream)
        why_not = why_unfit(job, layout, self._machines)
        if why_not is not None:
            return replace(decision, decision=Decision.WILL_NOT_FIT, why=why_not, fit=layout)
        return replace(decision, fit=layout)

    def _has_folder(self, kind: str, key16: str) -> bool:
        if kind not in self._folders:
            self._folders[kind] = frozenset(self._root.list(f"artifacts/{kind}"))
        return key16 in self._folders[kind]

    def _why_stale(self, job: Job, record: Record) -> str | None:
        for name, refs in job.inputs.items():
            for ref in refs:
                upstream = self._decisions[ref.key]
                if upstream.decision is Decision.STALE:
                    return f"input {name}: {upstream.job.label} is stale"
                digest = self._digests.get(ref.key)
                if digest is not None and record.inputs.get(ref.key, digest) != digest:
                    return f"input {name}: {upstream.job.label} was made again with other bytes"
        return None

    def _decide_undone(self, job: Job) -> JobDecision:
        if job.key in self._failed:
            return JobDecision(job=job, decision=Decision.FAILED, why=self._failed[job.key])
        for name, refs in job.inputs.items():
            for ref in refs:
                upstream = self._decisions[ref.key]
                if upstream.decision in BLOCKING:
                    why = f"input {name}: {upstream.job.label} is {upstream.decision.value}"
                    return JobDecision(job=job, decision=Decision.BLOCKED, why=why)
        absent = self._plan.open.get(job.key)
        if absent:
            why = f"its key is open: {', '.join(absent)} is not here"
            return JobDecision(job=job, decision=Decision.NEW, why=why, absent=absent)
        before = self._key_before(job)
        if before is None or before == job.key:
            return JobDecision(job=job, decision=Decision.NEW, why=self._why_new(job))
        return JobDecision(job=job, decision=Decision.CHANGED, why=self._why_changed(job, before))

    def _key_before(self, job: Job) -> str | None:
        """Return the key of the job that this cell was at the last launch."""
        if self._previous is None:
            self._previous = read_index(self._root, self._plan.study.name)
        return self._previous.get(cell_key(job.stage, job.cell))

    def _why_new(self, job: Job) -> str:
        if not self._has_folder(job.kind, job.key16):
            return "not run yet"
        try:
            has_record = self._root.exists(f"{job.folder}/record.json")
        except ForeignEntry as fault:
            return fault.error  # the launch fails this job by it, and no other
        if has_record:
            return "its record is damaged, or files it lists are missing or cut short"
        return "started before, not finished"

    def _why_changed(self, job: Job, before: str) -> str:
        folder = artifact_folder(job.kind, before)
        request = readable_request(self._root, f"{folder}/job.json")
        was = request and request["identity"]
        phrases = describe_changes(was, job.identity, self._label) if was else []
        return "; ".join(phrases) or f"this cell was {before[:16]} at the last launch"

    def _label(self, key: str) -> str:
        return self._plan.by_key[key].label
