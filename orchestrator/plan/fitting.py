"""Asks kinds that choose how a job is done (`Kind.fit`) for a layout on the machines there are.

A launch asks when a job is about to run: only then are the job's inputs known, what ran out of
memory, and what other jobs of its kind took. `plan` asks with what is known by then.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from cluster.errors import UserError
from cluster.machine.resources import Resources
from jobs.artifacts.job import Job
from jobs.forecast.gpu_job import CONTEXT_GB
from jobs.kind import KINDS, Fit, Forecast, Kind, Params, Situation
from jobs.params import execution_names
from orchestrator.budget.prices import Prices
from orchestrator.plan.calibrations import calibration_of
from orchestrator.plan.gpu_sharing import share
from orchestrator.plan.machines import can_hold, refusal
from orchestrator.plan.upstream_facts import UpstreamFacts
from orchestrator.records.events import Submitted
from orchestrator.records.job_history import JobHistory


def choose_fit(
    job: Job,
    machines: Sequence[Resources],
    past: JobHistory,
    upstream: UpstreamFacts,
    *,
    is_alone: bool = False,
) -> Fit | None:
    """Choose how a job is to be done; None where its kind takes what the study says.

    A job that was laid out before stays so while the machines hold it, because a checkpoint may
    not fit another layout; but a layout without GPUs is not kept where there are GPUs now. After a
    job ran out of memory in a layout, it must be laid out otherwise. Where one job runs at a time
    (`is_alone`), none gets a part of a GPU: nobody would have the rest.
    """
    if not chooses_layout(job):
        takes_gpus = bool(job.resources.num_gpus)
        return _forecast(job, machines, past, upstream, is_alone) if takes_gpus else None
    kind = KINDS.find(job.kind)
    before = past.submitted.execution if past.submitted else {}
    if before and before not in past.tried and not _lacks_gpus(past, machines):
        # The ledger may be of a version whose params had other names.
        left_open = {name for name, value in job.params.items() if value is None}
        kept = {name: value for name, value in before.items() if name in left_open}
        layout = _ask(kind, job, kept, machines, past, upstream)
        if layout is not None and layout.refusal is None:
            return layout
    layout = _ask(kind, job, {}, machines, past, upstream)
    if layout is not None and layout.refusal is None and layout.execution in past.tried:
        why = f"it ran out of memory, and no other layout is left to try: {past.message}"
        return replace(layout, refusal=why)
    return layout


def _forecast(
    job: Job,
    machines: Sequence[Resources],
    past: JobHistory,
    upstream: UpstreamFacts,
    is_alone: bool,
) -> Fit | None:
    """Describe a job of GPUs whose params say how it is done, by what its kind expects of it.

    It is refused only where what it cannot do without is more than any GPU has: of the rest kinds
    make do with less, as models that take turns.
    """
    kind = KINDS.find(job.kind)
    params = job.params_as(kind.Params)

    def forecast(known: UpstreamFacts) -> Forecast | None:
        measured = calibration_of(machines)
        inputs = known.inputs(job)
        return kind.forecast(
            params, Situation(inputs=inputs, machines=machines, calibration=measured)
        )

    try:
        expected = upstream.ask(forecast)
    except UserError as fault:
        return Fit(resources=job.resources, execution={}, refusal=str(fault))
    if expected is None:
        return None
    least_gb = round(expected.least_gb + CONTEXT_GB, 1)
    peak_gb = expected.peak_gb
    listed = " + ".join(f"{size:.3g} {part}" for part, size in expected.memory_gb.items())
    whole = Fit(
        resources=replace(job.resources, gpu_memory_gb=least_gb),
        execution={},
        peak_memory_gb=round(peak_gb, 3),
        hours=expected.hours,
        why=f"{expected.why}; {peak_gb:.3g} GB ({listed})",
    )
    may_share = getattr(params, "share_gpu", False) and not is_alone
    shared = share(whole, machines) if may_share else whole
    return whole if shared.execution in past.tried else shared


def chooses_layout(job: Job) -> bool:
    """Tell whether the kind of a job chooses how the job is done."""
    return KINDS.find(job.kind).overrides(Kind.fit)


def submitted_event(
    job: Job, attempt: str, layout: Fit | None, prices: Prices | None = None
) -> Submitted:
    """Make the ledger's event of an attempt: what it holds, its price, and how it is laid out."""
    layout = layout or Fit(resources=job.resources, execution={})
    return Submitted(
        at=time.time(),
        key=job.key,
        attempt=attempt,
        num_gpus=job.resources.total.num_gpus,
        execution=layout.execution,
        peak_memory_gb=layout.peak_memory_gb,
        why=layout.why,
        price=prices.hourly(job.resources) if prices else None,
        currency=prices.currency if prices else None,
    )


def apply_fit(job: Job, layout: Fit) -> Job:
    """Return the same job, of the same key, with the execution params of a layout."""
    return replace(
        job, params={**job.params, **layout.execution}, validated=None, resources=layout.resources
    )


def why_unfit(
    job: Job, layout: Fit | None, machines: Sequence[Resources], most_ranks: float = math.inf
) -> str | None:
    """Say why a job cannot be done on these machines; None when it can."""
    if layout is not None and layout.refusal is not None:
        return layout.refusal
    resources = job.resources if layout is None else layout.resources
    if resources.num_ranks > most_ranks:
        return f"needs {resources.num_ranks} ranks; this executor runs {most_ranks:g} at a time"
    return None if can_hold(machines, resources) else refusal(machines, resources)


def _lacks_gpus(past: JobHistory, machines: Sequence[Resources]) -> bool:
    """Tell whether the latest attempt held no GPU, and now there are some."""
    had = past.submitted.num_gpus if past.submitted else 0
    return not had and any(node.num_gpus for node in machines)


def _ask(
    kind: Kind[Params],
    job: Job,
    kept: Mapping[str, Any],
    machines: Sequence[Resources],
    past: JobHistory,
    upstream: UpstreamFacts,
) -> Fit | None:
    """Ask the kind for a layout, with `kept` in place of what the study leaves open."""
    names = execution_names(kind.Params)
    try:
        params = kind.Params(**{**job.params, **kept}) if kept else job.params_as(kind.Params)
        tried = [execution for execution in past.tried if set(execution) <= names]

        def fit(known: UpstreamFacts) -> Fit | None:
            situation = Situation(
                inputs=known.inputs(job),
                machines=machines,
                tried=tried,
                done=known.facts(job.kind),
                calibration=calibration_of(machines),
            )
            return kind.fit(params, situation)

        layout = upstream.ask(fit)
    except ValidationError:
        if not kept:
            raise
        return None  # the ledger's layout is none that the kind takes
    except UserError as fault:
        # The fault concerns one job, and must not end the others.
        return Fit(resources=job.resources, execution={}, refusal=str(fault))
    if layout is None:
        return None
    assert set(layout.execution) <= names, f"kind {job.kind} chose {layout.execution}"
    return replace(layout, execution={**kept, **layout.execution})
