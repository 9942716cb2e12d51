"""Stages that are added to a rehearsal: can each objective learn a few examples by heart?"""

import json
from collections.abc import Iterator
from dataclasses import replace

from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from jobs.artifacts.job import Job
from jobs.kind import KINDS
from orchestrator.plan.plan import Plan
from orchestrator.rehearsal.small_study import MEMORISES, SmallStudy
from orchestrator.study.study import Stage


def with_memorising(small: SmallStudy, plan: Plan) -> SmallStudy:
    """Return the study with a stage beside each that trains: one job for every way to train.

    Args:
        small: the study, made small.
        plan: its plan.
    """
    stages = dict(small.study.stages)
    for name, jobs in plan.stages.items():
        chosen = _one_of_each(jobs)
        if chosen:
            stages[name + MEMORISES] = _only(small.study.stages[name], chosen)
    return replace(small, study=replace(small.study, stages=stages))


def not_memorised(root: Storage, plan: Plan, done: set[str]) -> Iterator[tuple[Job, str]]:
    """Yield each job of such a stage that is done and learned nothing, with how that shows."""
    for job in plan.jobs:
        if job.stage.endswith(MEMORISES) and job.key in done:
            why = KINDS.find(job.kind).not_memorised(Artifact(root, job.kind, job.key).read)
            if why is not None:
                yield job, why


def _one_of_each(jobs: tuple[Job, ...]) -> list[Job]:
    """Return the first job of every way to train, which differ in what memorising leaves open."""
    first: dict[str, Job] = {}
    for job in jobs:
        kind = KINDS.find(job.kind)
        params = kind.memorising(job.params)
        if params is not None:
            first.setdefault(json.dumps(params, sort_keys=True, default=str), job)
    return list(first.values())


def _only(stage: Stage, jobs: list[Job]) -> Stage:
    picks = tuple({axis: frozenset({value}) for axis, value in job.cell.items()} for job in jobs)
    return replace(stage, name=stage.name + MEMORISES, where=picks if jobs[0].cell else ())
