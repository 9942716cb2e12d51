"""What is wrong with a study whose rehearsal ended: jobs that failed, and numbers that are not."""

from collections.abc import Iterator, Mapping, Sequence

from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from jobs.artifacts.job import Job
from jobs.kind import KINDS
from orchestrator.locked_launch import Launched
from orchestrator.plan.decisions import Decision
from orchestrator.plan.plan import Plan
from orchestrator.rehearsal.memorising import not_memorised
from orchestrator.rehearsal.report import Fault, StageOutcome, StageState
from orchestrator.rehearsal.small_study import MEMORISES, SmallStudy
from orchestrator.study.study import Study


def faults_of(root: Storage, launched: Launched) -> Iterator[Fault]:
    """Yield what would fail: jobs that failed, what learned nothing, metrics without a number."""
    plan = launched.decided.plan
    done = launched.decided.keys(Decision.REUSE)
    failed = launched.report.failed if launched.report else {}
    for (stage, message), labels in _together(plan, failed).items():
        yield _fault(plan.study, stage, labels, message)
    for job, why in not_memorised(root, plan, done):
        objective = job.params.get("objective", job.kind)
        yield _fault(
            plan.study, job.stage, [job.label], f"objective {objective!r} cannot learn: {why}"
        )
    for stage, jobs in plan.stages.items():
        if jobs and all(job.key in done for job in jobs):
            yield from _missing(root, plan.study, stage, jobs, is_fault=True)


def notes_of(root: Storage, launched: Launched) -> Iterator[str]:
    """Yield what to look at: metrics without a number that small models or few prompts explain."""
    plan, done = launched.decided.plan, launched.decided.keys(Decision.REUSE)
    for stage, jobs in plan.stages.items():
        if jobs and all(job.key in done for job in jobs):
            for fault in _missing(root, plan.study, stage, jobs, is_fault=False):
                yield f"{fault.stage}: {fault.what}"
            yield from _not_shown(root, stage, jobs)


def outcomes(
    small: SmallStudy, whole: Study, launched: Launched, faults: Sequence[Fault]
) -> Iterator[StageOutcome]:
    """Yield how every stage of the study came out, in its order."""
    plan, done = launched.decided.plan, launched.decided.keys(Decision.REUSE)
    faulty = {fault.stage for fault in faults}
    for name, stage in whole.stages.items():
        if name in small.left_out:
            yield StageOutcome(
                stage=name,
                kind=stage.kind,
                state=StageState.NOT_REHEARSED,
                num_jobs=0,
                note=small.left_out[name],
            )
            continue
        jobs = {job.key: job for job in plan.stages.get(name, ())}
        is_done = jobs.keys() <= done
        state = StageState.HELD if is_done else StageState.BLOCKED
        yield StageOutcome(
            stage=name,
            kind=stage.kind,
            num_jobs=len(jobs),
            state=StageState.WOULD_FAIL if name in faulty else state,
        )


def _together(plan: Plan, failed: Mapping[str, str]) -> dict[tuple[str, str], list[str]]:
    """Map (stage, message) -> labels of the jobs that failed with it; attempts' names left out."""
    together: dict[tuple[str, str], list[str]] = {}
    for key, message in failed.items():
        job = plan.by_key[key]
        together.setdefault((job.stage, message), []).append(job.label)
    return together


def _missing(
    root: Storage, study: Study, stage: str, jobs: Sequence[Job], *, is_fault: bool
) -> Iterator[Fault]:
    """Yield the metrics of a stage that no job has a number for: those named, or the others.

    A metric that the study names and that is missing for a reason that no model changes is a fault.
    """
    from jobs.comparing.missing_everywhere import missing_everywhere

    written = study.stages[stage].params.get("metrics")
    if not KINDS.find(jobs[0].kind).MEASURES or not isinstance(jobs[0].params.get("metrics"), list):
        return
    groups: dict[tuple[str, ...], list[Job]] = {}
    for job in {job.key: job for job in jobs}.values():
        groups.setdefault(tuple(job.params["metrics"]), []).append(job)
    for metrics, members in groups.items():
        artifacts = [Artifact(root, job.kind, job.key) for job in members]
        for lacking in missing_everywhere(metrics, artifacts):
            is_named = (
                written is not None
                and written != "all"
                and (
                    not isinstance(written, list)
                    or lacking.metric in written
                    or "all" not in written
                )
            )
            if (is_named and not lacking.is_of_size) == is_fault:
                labels = [job.label for job in members]
                what = f"metric {lacking.metric!r} has no number in any job: {lacking.reason}"
                yield _fault(study, stage, labels, what)


def _not_shown(root: Storage, stage: str, jobs: Sequence[Job]) -> Iterator[str]:
    """Yield the metrics that a table names and that nothing which it gathers measures."""
    from jobs.comparing.missing_everywhere import missing_everywhere

    for job in (job for job in jobs if job.gathers):
        refs = [ref for refs in job.inputs.values() for ref in refs]
        artifacts = [Artifact(root, ref.kind, ref.key) for ref in refs]
        for lacking in missing_everywhere(job.params.get("metrics") or (), artifacts):
            yield f"{stage}: the table names {lacking.metric!r}, of which there is no number"


def _fault(study: Study, stage: str, labels: Sequence[str], what: str) -> Fault:
    name = stage.removesuffix(MEMORISES)
    return Fault(stage=name, jobs=labels, what=what, where=study.where("stages", name))
