"""The tables and figures of a study under its folder: views, which can be deleted and rebuilt.

A finished `compare` job's files are taken as they are; where something is missing, the same view
is made from what there is, every missing cell with its reason.
"""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from jobs.artifacts.job import InputRef, Job
from jobs.kind import KINDS
from jobs.provenance import Results
from orchestrator.plan.decided_plan import DecidedPlan
from orchestrator.plan.decisions import Decision, JobDecision
from orchestrator.records.failure import Result

if TYPE_CHECKING:
    from jobs.comparing.comparison import Comparison
    from jobs.comparing.gathering import Source


_WITHOUT_RESULT = (Decision.FAILED, Decision.BLOCKED, Decision.WILL_NOT_FIT)

_NOT_RUN = {
    Decision.NEW: "is not run yet",
    Decision.CHANGED: "has other settings now, and has not run with them",
    Decision.STALE: "was made from an input that has changed since, and has not run again",
}


def comparisons(decided: DecidedPlan) -> list[Job]:
    """List the jobs of a study that leave tables and figures."""
    return [job for job in decided.plan.jobs if KINDS.find(job.kind).LEAVES is Results.VIEWS]


def sources(root: Storage, decided: DecidedPlan, job: Job) -> "list[Source]":
    """What a gathering job takes, with the reason wherever there is nothing yet."""
    refs = [ref for refs in job.inputs.values() for ref in refs]
    return [_source(root, decided, ref, decided.by_key[ref.key]) for ref in refs]


def compared(root: Storage, decided: DecidedPlan, job: Job) -> "Comparison":
    """All measurements that a gathering job takes, missing ones included."""
    from jobs.comparing.gathering import collect

    return collect(sources(root, decided, job))


def refresh_views(root: Storage, decided: DecidedPlan) -> list[Path | str]:
    """Write `tables/` and `figures/` of a study; returns the folders of figures.

    A comparison of which nothing was measured yet gives no view.
    """
    folder = f"studies/{decided.plan.study.name}"
    figures: list[Path | str] = []
    for job in comparisons(decided):
        with tempfile.TemporaryDirectory(prefix="deltascale-views-") as scratch:
            made = _made(root, decided, job, Path(scratch))
            if made is None:
                continue
            for place in ("tables", "figures"):
                root.remove(f"{folder}/{place}/{view_name(job)}")
            for file in sorted(path for path in made.rglob("*") if path.is_file()):
                place = "figures" if file.parent.name == "figures" else "tables"
                root.write(f"{folder}/{place}/{view_name(job)}/{file.name}", file.read_bytes())
            if job.key in decided.keys(Decision.REUSE):
                root.write(_whole(decided, job), f"{job.key}\n".encode())
            shown = f"{folder}/figures/{view_name(job)}"
            if root.exists(shown):
                figures.append(root.path(shown) if root.is_local else f"{root.url}/{shown}")
    return figures


def standing_views(root: Storage, decided: DecidedPlan) -> list[Path | str]:
    """Folders of figures of a finished study; made again where they are not whole and its own."""
    for job in comparisons(decided):
        try:
            whole = root.read(_whole(decided, job)).decode().strip() == job.key
        except FileNotFoundError:
            whole = False
        if not whole:
            return refresh_views(root, decided)
    folder = f"studies/{decided.plan.study.name}/figures"
    names = [f"{folder}/{name}" for name in root.list(folder)]
    return [root.path(name) if root.is_local else f"{root.url}/{name}" for name in names]


def _whole(decided: DecidedPlan, job: Job) -> str:
    """Written last into a view: the key of the comparison that it shows, whole."""
    return f"studies/{decided.plan.study.name}/tables/{view_name(job)}/key"


def _made(root: Storage, decided: DecidedPlan, job: Job, scratch: Path) -> Path | None:
    artifact = Artifact(root, job.kind, job.key)
    if job.key in decided.keys(Decision.REUSE):
        for name in artifact.names():
            target = scratch / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(artifact.path(name), target)
        return scratch
    from jobs.comparing.gathering import collect
    from jobs.comparing.output_files import write_views
    from jobs.comparing.view import View

    found = sources(root, decided, job)
    if not any(source.artifact for source in found):
        return None
    write_views(collect(found), job.params_as(View), scratch)
    return scratch


def _source(root: Storage, decided: DecidedPlan, ref: InputRef, each: JobDecision) -> "Source":
    from jobs.comparing.gathering import Source
    from jobs.comparing.measuring_kinds import expected_values

    if each.decision is Decision.REUSE:
        return Source(stage=ref.stage, cell=ref.cell, artifact=Artifact(root, ref.kind, ref.key))
    status, reason = why_missing(decided, each)
    return Source(
        stage=ref.stage,
        cell=ref.cell,
        artifact=None,
        status=status,
        reason=reason,
        metrics=expected_values(ref.kind, each.job.params),
    )


def view_name(job: Job) -> str:
    """Name of a comparison's folders under `tables/` and `figures/`."""
    return ",".join([job.stage, *job.cell.values()])


def view_params(job: Job, chosen: Mapping[str, object]) -> dict[str, object]:
    """A comparison's own params with what the user chose instead."""
    return {**job.params, **{name: value for name, value in chosen.items() if value is not None}}


def why_missing(decided: DecidedPlan, decision: JobDecision) -> tuple[str, str]:
    """Return the status and the reason of all that an unfinished job would have measured.

    A job that waits for a failed one is missing for the reason of that one.
    """
    cause = _cause(decision, decided.by_key)
    past = decided.history.of(cause.job.key)
    reason = f"{decision.job.label} {decision.decision.value}: {decision.why}"
    if cause is not decision:
        reason += f"; {cause.job.label} {cause.decision.value}: {cause.why}"
    if cause.decision not in _WITHOUT_RESULT:
        if past.refused:
            return "not_run", f"{reason}; {past.refused}"
        # One sentence for all cells of a stage: a table gives each sentence one footnote.
        return "not_run", f"stage {decision.job.stage} {_NOT_RUN[decision.decision]}"
    no_memory = past.result is Result.OUT_OF_MEMORY or cause.decision is Decision.WILL_NOT_FIT
    return "out_of_memory" if no_memory else "job_failed", reason


def _cause(decision: JobDecision, by_key: Mapping[str, JobDecision]) -> JobDecision:
    """Return the job upstream that keeps this one from running, or the job itself."""
    if decision.decision is Decision.BLOCKED:
        for refs in decision.job.inputs.values():
            for ref in refs:
                if by_key[ref.key].decision in _WITHOUT_RESULT:
                    return _cause(by_key[ref.key], by_key)
    return decision
