"""`Retention`: which artifacts of a plan are let go once they were read, and which jobs read them.

A stage says so (`keep: until-read`); what another stage of the plan keeps, or nothing reads, stays.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from jobs.artifacts.job import Job
from jobs.kind import KINDS
from orchestrator.plan.plan import Plan


@dataclass(frozen=True, kw_only=True)
class Retention:
    """Who reads what is let go."""

    readers: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Key of a job whose large files go -> keys of the jobs that read them; never empty."""
    kinds: Mapping[str, str] = field(default_factory=dict)
    """Key -> kind, of these jobs and of their readers."""

    @cached_property
    def reads(self) -> Mapping[str, frozenset[str]]:
        """Key of a reader -> keys of what it reads that is let go."""
        reads: dict[str, set[str]] = {}
        for key, readers in self.readers.items():
            for reader in readers:
                reads.setdefault(reader, set()).add(key)
        return {reader: frozenset(keys) for reader, keys in reads.items()}


def retention_of(plan: Plan) -> Retention:
    """Return what a plan lets go.

    Jobs that gather (`compare`) look up facts and measurements, which stay: they are no readers.
    """
    keeps = {job.key for job in plan.jobs if plan.study.stages[job.stage].keep == "always"}
    going = {job.key for job in plan.jobs} - keeps
    readers: dict[str, set[str]] = {}
    for job in plan.jobs if going else ():
        if not KINDS.find(job.kind).GATHERS:
            for key in keys_read_by(job, plan.by_key) & going:
                readers.setdefault(key, set()).add(job.key)
    named = {*readers, *(key for keys in readers.values() for key in keys)}
    return Retention(
        readers={key: frozenset(keys) for key, keys in readers.items()},
        kinds={key: plan.by_key[key].kind for key in named},
    )


def keys_read_by(job: Job, jobs: Mapping[str, Job]) -> set[str]:
    """Return keys of what a job reads, also by way of a job that only refers to other models.

    Args:
        job: one that does not gather.
        jobs: key -> job, of all that are behind it.
    """
    keys = {ref.key for refs in job.inputs.values() for ref in refs}
    return keys | keys_behind(job, jobs)


def keys_behind(job: Job, jobs: Mapping[str, Job]) -> set[str]:
    """Return keys of what a job reads only by way of another one; arguments as `keys_read_by`."""
    behind: set[str] = set()
    for refs in job.inputs.values():
        for ref in refs:
            kind = KINDS.get(ref.kind)
            if kind is not None and kind.REFERS and ref.key in jobs:
                read = keys_read_by(jobs[ref.key], jobs)
                behind |= read.union(*(keys_read_by(jobs[key], jobs) for key in read & jobs.keys()))
    return behind


def notes_on_retention(plan: Plan) -> list[str]:
    """Return a note on each stage that says `keep: until-read` and that no stage reads."""
    going = [name for name, stage in plan.study.stages.items() if stage.keep == "until-read"]
    read = retention_of(plan).readers if going else {}
    return [
        f"{plan.study.where('stages', name, 'keep')}: no job reads what the stage {name!r} leaves, "
        "so `keep: until-read` lets nothing go"
        for name in going
        if not any(job.key in read for job in plan.stages.get(name, ()))
    ]
