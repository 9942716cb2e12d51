"""The tables and figures of a study under its folder: views, which can be deleted and rebuilt.

A finished `compare` job's files are taken as they are; where something is missing, the same view
is made from what there is, every missing cell with its reason.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cluster.disk.disk_faults import ForeignEntry
from cluster.disk.temp_folders import TempFolder
from cluster.locks.held import Held
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from jobs.artifacts.job import InputRef, Job, Scalar
from jobs.forecast.upstream_models import configured_facts
from jobs.kind import KINDS
from jobs.provenance import Results
from orchestrator.plan.decided_plan import DecidedPlan
from orchestrator.plan.decisions import BLOCKING, READABLE, RUNS, Decision, JobDecision
from orchestrator.records.failure import Result

if TYPE_CHECKING:
    from jobs.comparing.comparison import Comparison
    from jobs.comparing.sources import Source


_NOT_RUN = {
    Decision.NEW: "is not run yet",
    Decision.REMAKE: "was let go, and has not run again",
    Decision.STALE: "was made from an input that has changed since, and has not run again",
}

_IN_PART = " in part"
"""What the marker of a view says behind the key where something is missing in it."""


def comparisons(decided: DecidedPlan) -> list[Job]:
    """List the jobs of a study that leave tables and figures."""
    return [job for job in decided.plan.jobs if KINDS.find(job.kind).LEAVES is Results.VIEWS]


def sources(root: Storage, decided: DecidedPlan, job: Job) -> "list[Source]":
    """Return the sources of a gathering job, with a reason for each that has no artifact yet."""
    refs = [ref for refs in job.inputs.values() for ref in refs]
    checkpoints = _Checkpoints(root, decided)
    return [_source(root, decided, ref, checkpoints) for ref in refs]


def collect_measured(root: Storage, decided: DecidedPlan, job: Job) -> "Comparison":
    """Collect all measurements of a gathering job, missing ones included."""
    from jobs.comparing.gathering import collect
    from jobs.comparing.view import View

    return collect(sources(root, decided, job), job.params_as(View).seeds)


def drop_outdated_views(root: Storage, decided: DecidedPlan, held: Held | None = None) -> None:
    """Delete views of what a launched study asks for no more: they would be taken for its own."""
    held = held or Held()
    folder = f"studies/{decided.plan.study.name}"
    asked = {view_name(job): job.key for job in comparisons(decided)}
    for view in root.list(f"{folder}/tables"):
        shown = _shown(root, decided, view)
        if shown is not None and shown.removesuffix(_IN_PART) != asked.get(view):
            held.confirm()
            for place in ("figures", "tables"):
                root.remove(f"{folder}/{place}/{view}")


def refresh_views(
    root: Storage, decided: DecidedPlan, held: Held | None = None, *, into: Storage | None = None
) -> list[Path | str]:
    """Write `tables/` and `figures/` of a study; return the folders of figures.

    A comparison without any measurement gives no view.

    Args:
        root: what was measured.
        decided: the study's plan, and what is done of it.
        held: the study's lock, which is asked before each view.
        into: where views are written to; the root by default.
    """
    held, target = held or Held(), into or root
    folder = f"studies/{decided.plan.study.name}"
    figures: list[Path | str] = []
    for job in comparisons(decided):
        with TempFolder("views") as scratch:
            made = _files_of_view(root, decided, job, scratch)
            if made is None:
                continue
            held.confirm()
            for place in ("tables", "figures"):
                target.remove(f"{folder}/{place}/{view_name(job)}")
            for file in sorted(path for path in made.rglob("*") if path.is_file()):
                place = "figures" if file.parent.name == "figures" else "tables"
                target.write(f"{folder}/{place}/{view_name(job)}/{file.name}", file.read_bytes())
            in_part = "" if job.key in decided.keys(Decision.REUSE) else _IN_PART
            target.write(_marker(decided, view_name(job)), f"{job.key}{in_part}\n".encode())
            pictures = f"{folder}/figures/{view_name(job)}"
            if target.exists(pictures):
                figures.append(_place(target, pictures))
    return figures


def complete_views(root: Storage, decided: DecidedPlan) -> list[Path | str]:
    """Return the folders of figures of a finished study; make views again that are incomplete."""
    for job in comparisons(decided):
        if _shown(root, decided, view_name(job)) != job.key:
            return refresh_views(root, decided)
    folder = f"studies/{decided.plan.study.name}/figures"
    names = [f"{folder}/{name}" for name in root.list(folder)]
    return [_place(root, name) for name in names]


def _marker(decided: DecidedPlan, view: str) -> str:
    """Return the file written last into a view: the key of the comparison that it shows."""
    return f"studies/{decided.plan.study.name}/tables/{view}/key"


def _shown(root: Storage, decided: DecidedPlan, view: str) -> str | None:
    """Return the key of what a view shows, marked where that is a part; None: it is not known."""
    try:
        return root.read(_marker(decided, view)).decode().strip()
    except (FileNotFoundError, ForeignEntry, UnicodeDecodeError):
        return None


def _files_of_view(root: Storage, decided: DecidedPlan, job: Job, scratch: Path) -> Path | None:
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

    gathered = sources(root, decided, job)
    if not any(source.artifact for source in gathered):
        return None
    view = job.params_as(View)
    write_views(collect(gathered, view.seeds), view, scratch)
    return scratch


def _source(
    root: Storage, decided: DecidedPlan, ref: InputRef, checkpoints: "_Checkpoints"
) -> "Source":
    from jobs.comparing.measuring_kinds import expected_values
    from jobs.comparing.sources import Source

    decision = decided.by_key[ref.key]
    if decision.decision in READABLE:
        artifact = Artifact(root, ref.kind, ref.key)
        return Source(stage=ref.stage, cell=ref.cell, values=ref.values, artifact=artifact)
    status, reason = why_missing(decided, decision)
    return Source(
        stage=ref.stage,
        cell=ref.cell,
        values=ref.values,
        artifact=None,
        status=status,
        reason=reason,
        metrics=expected_values(ref.kind, decision.job.params),
        model=checkpoints.upstream(decision.job),
    )


class _Checkpoints:
    """Finds the model that an unfinished job is about, from what it reads."""

    def __init__(self, root: Storage, decided: DecidedPlan) -> None:
        self._root = root
        self._decided = decided
        self._facts: dict[str, Mapping[str, Scalar]] = {}

    def upstream(self, job: Job) -> Mapping[str, Scalar]:
        """Return the facts of the nearest checkpoint that is done, or whose config is known."""
        nearest, met = [job], {job.key}
        while nearest:
            keys = dict.fromkeys(
                ref.key for job in nearest for refs in job.inputs.values() for ref in refs
            )
            nearest = [self._decided.by_key[key].job for key in keys if key not in met]
            met.update(keys)
            for reached in nearest:
                facts = self._of(reached)
                if "family" in facts:
                    return facts
        return {}

    def _of(self, job: Job) -> Mapping[str, Scalar]:
        if job.key not in self._facts:
            is_done = self._decided.by_key[job.key].decision in READABLE
            record = Artifact(self._root, job.kind, job.key).facts if is_done else {}
            self._facts[job.key] = record.get("model") or configured_facts(job.params.get("config"))
        return self._facts[job.key]


def _place(root: Storage, name: str) -> Path | str:
    """Return a path, or a URL on a remote root."""
    return root.path(name) if root.is_local else f"{root.url}/{name}"


def view_name(job: Job) -> str:
    """Return the name of a comparison's folders under `tables/` and `figures/`."""
    return ",".join([job.stage, *job.cell.values()])


def view_params(job: Job, chosen: Mapping[str, object]) -> dict[str, object]:
    """Return a comparison's params with the options of the user in place of its own."""
    return {**job.params, **{name: value for name, value in chosen.items() if value is not None}}


def why_missing(decided: DecidedPlan, decision: JobDecision) -> tuple[str, str]:
    """Return the status and the reason of all that an unfinished job would have measured.

    A job that waits for a failed one is missing for the reason of that one.
    """
    cause = _cause(decision, decided)
    past = decided.history.of_job(cause.job.key)
    told = [_told(decision), *([] if cause is decision else [_told(cause)])]
    reason = "; ".join(told)
    if cause.decision not in BLOCKING:
        if past.refused:
            # No layout is left that has not run out of memory; larger machines may have one.
            status = "out_of_memory" if past.result is Result.OUT_OF_MEMORY else "not_run"
            return status, f"{reason}; {past.refused}"
        # One sentence for all cells of a stage: a table gives each sentence one footnote.
        return "not_run", f"stage {decision.job.stage} {_not_run(decision, decided)}"
    no_memory = past.result is Result.OUT_OF_MEMORY or cause.decision is Decision.WILL_NOT_FIT
    return "out_of_memory" if no_memory else "job_failed", reason


def _told(decision: JobDecision) -> str:
    """Say what is decided of a job and why, with each word once."""
    value = decision.decision.value
    return f"{decision.job.label} {value}: {decision.why.removeprefix(f'{value}: ')}"


def _not_run(decision: JobDecision, decided: DecidedPlan) -> str:
    """Say why a job of a stage is still to run; of a changed one, what has changed and where."""
    if decision.decision is not Decision.CHANGED:
        return _NOT_RUN[decision.decision]
    first = _changed_first(decision, decided)
    where = "it" if first is decision else first.job.stage
    return f"has not run since {where} changed ({first.why})"


def _changed_first(decision: JobDecision, decided: DecidedPlan) -> JobDecision:
    """Return the changed job upstream that only its own settings changed, or the job itself."""
    upstream = (decided.by_key[ref.key] for refs in decision.job.inputs.values() for ref in refs)
    changed = next((each for each in upstream if each.decision is Decision.CHANGED), None)
    return decision if changed is None else _changed_first(changed, decided)


def _cause(decision: JobDecision, decided: DecidedPlan) -> JobDecision:
    """Return the job upstream that keeps this one from running, or the job itself."""
    for refs in decision.job.inputs.values():
        for ref in refs:
            upstream = decided.by_key[ref.key]
            if decision.decision is Decision.BLOCKED and upstream.decision in BLOCKING:
                return _cause(upstream, decided)
            if decision.decision in RUNS and upstream.decision in RUNS:
                cause = _cause(upstream, decided)
                if decided.history.of_job(cause.job.key).refused:
                    return cause
    return decision
