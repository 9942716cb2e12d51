"""How jobs are to be done on the machines there are, where their kinds choose that (`fit`).

Asked when a job is about to run, because only then what it reads, what ran out of memory and what
others of its kind took are known; and by `plan`, as far as they are.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cluster.errors import UserError
from cluster.resources import Resources
from jobs.artifacts.job import Job
from jobs.kind import KINDS, Fit, Kind, execution_names
from orchestrator.plan.machines import can_hold, refusal
from orchestrator.plan.upstream_facts import UpstreamFacts
from orchestrator.records.history import JobHistory
from orchestrator.records.ledger import Submitted


def fit(
    job: Job, machines: Sequence[Resources], past: JobHistory, known: UpstreamFacts
) -> Fit | None:
    """How a job is to be done; None where its kind takes what the study says.

    A job that was laid out before stays so while the machines hold it, because a checkpoint need
    not fit another layout; but what was laid out without GPUs is not kept from those there are.
    After it ran out of memory as it was, it must be laid out otherwise.
    """
    if not chooses(job):
        return None
    kind = KINDS.find(job.kind)
    before = past.submitted.execution if past.submitted else {}
    if before and before not in past.tried and not _lacks_gpus(past, machines):
        # The ledger may be of a version whose params had other names.
        left_open = {name for name, value in job.params.items() if value is None}
        kept = {name: value for name, value in before.items() if name in left_open}
        found = _asked(kind, job, kept, machines, past, known)
        if found is not None and found.refusal is None:
            return found
    found = _asked(kind, job, {}, machines, past, known)
    if found is not None and found.refusal is None and found.execution in past.tried:
        said = f"it ran out of memory, and nothing is left to change: {past.message}"
        return replace(found, refusal=said)
    return found


def chooses(job: Job) -> bool:
    """True when the kind of a job has a say in how it is done."""
    return KINDS.find(job.kind).overrides(Kind.fit)


def submitted(job: Job, attempt: str, found: Fit | None) -> Submitted:
    """The event of an attempt: what it holds, and how it is laid out."""
    layout = found or Fit(resources=job.resources, execution={})
    return Submitted(
        at=time.time(),
        key=job.key,
        attempt=attempt,
        num_gpus=job.resources.total.num_gpus,
        execution=layout.execution,
        peak_memory_gb=layout.peak_memory_gb,
        why=layout.why,
    )


def fitted(job: Job, found: Fit) -> Job:
    """The same job, of the same key, as it is to be done."""
    return replace(job, params={**job.params, **found.execution}, resources=found.resources)


def unfit(
    job: Job, found: Fit | None, machines: Sequence[Resources], most_ranks: float = math.inf
) -> str | None:
    """Why a job cannot be done on these machines; None when it can."""
    if found is not None and found.refusal is not None:
        return found.refusal
    resources = job.resources if found is None else found.resources
    if resources.num_ranks > most_ranks:
        return f"needs {resources.num_ranks} ranks; this executor runs {most_ranks:g} at a time"
    return None if can_hold(machines, resources) else refusal(machines, resources)


def _lacks_gpus(past: JobHistory, machines: Sequence[Resources]) -> bool:
    """True when the latest attempt held no GPU, and now there are some."""
    had = past.submitted.num_gpus if past.submitted else 0
    return not had and any(node.num_gpus for node in machines)


def _asked(
    kind: Kind[Any],
    job: Job,
    kept: Mapping[str, Any],
    machines: Sequence[Resources],
    past: JobHistory,
    known: UpstreamFacts,
) -> Fit | None:
    """What the kind says, with `kept` in place of what the study leaves open."""
    names = execution_names(kind.Params)
    try:
        found = kind.fit(
            kind.Params(**{**job.params, **kept}) if kept else job.params_as(kind.Params),
            known.inputs(job),
            machines=machines,
            tried=[each for each in past.tried if set(each) <= names],
            done=known.facts(job.kind),
        )
    except UserError as fault:
        # It concerns one job, and must not end the others.
        return Fit(resources=job.resources, execution={}, refusal=str(fault))
    if found is None:
        return None
    assert set(found.execution) <= names, f"kind {job.kind} chose {found.execution}"
    return replace(found, execution={**kept, **found.execution})
