"""One launch of a study, from what stands to refreshed views. `resume` is a launch too."""

from collections.abc import Callable, Sequence, Set
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from cluster.executor import Executor
from cluster.storage import Storage
from jobs.artifacts.job import Job
from orchestrator.dispatch.execution import LaunchReport, new_launch_id, run_study
from orchestrator.dispatch.policy import needs
from orchestrator.dispatch.submission import Origin, root_id
from orchestrator.dispatch.watcher import Watcher
from orchestrator.plan.decided_plan import DecidedPlan, decide, plan_study
from orchestrator.plan.decisions import Decision
from orchestrator.plan.disk_space import measure_disk_space
from orchestrator.plan.plan import Plan, make_plan
from orchestrator.plan.plan_document import plan_document
from orchestrator.plan.revisions import remember_revisions, resolve_revisions
from orchestrator.plan.study_folder import cell_key, read_index, write_study
from orchestrator.records.history import History, read_history
from orchestrator.records.ledger import LaunchState
from orchestrator.records.lock import study_lock
from orchestrator.study.selector import select
from orchestrator.study.study import Study
from orchestrator.views.study_views import compared, comparisons, complete_views, refresh_views

_MOST_ROUNDS = 3
"""Rounds until nothing is stale; one, unless an artifact came out with other bytes."""


@dataclass(frozen=True, kw_only=True)
class Launched:
    """What a launch came to, and how the study stands after it."""

    report: LaunchReport | None
    """Counts and failures; None when there was nothing to do."""
    decided: DecidedPlan
    """The study as it stands now."""
    figures: Sequence[Path | str]
    """Folders of figures."""

    @property
    def exit_code(self) -> int:
        """0 complete, 1 with failed jobs, 130 interrupted or cancelled."""
        return self.report.exit_code if self.report else 0


def launch(
    root: Storage,
    study: Study,
    *,
    executor: Executor,
    executor_name: str,
    progress: Callable[[], AbstractContextManager[Watcher]],
    only: Sequence[str] = (),
    fresh: bool = False,
    takeover: bool = False,
    damaged: Set[str] = frozenset(),
    warn: Callable[[str], None] = lambda text: None,
) -> Launched:
    """Run what is not done.

    Args:
        root: the output root.
        study: the study.
        executor: where jobs run; not started when there is nothing to run.
        executor_name: its name, for the ledger.
        progress: opens whoever is told what happens, once there is something to run.
        only: selectors; those jobs, and what they need, and nothing else.
        fresh: give failed jobs a new retry budget.
        takeover: take the lease from a live holder (remote roots).
        damaged: keys of finished jobs to make again (`verify --repair`).
        warn: is told, before anything runs, what the user should look at.

    Raises:
        UserError: something in the study is wrong; nothing was written.
        SurroundingsError: lock held, root not writable, no cluster.
    """
    plan = plan_study(root, study)
    identifier = new_launch_id()
    # What is done, records alone say: the ledger is read once, where it is needed.
    decided = decide(plan, root, History())
    if not _wanted(plan, only) - (decided.keys(Decision.REUSE) - damaged):
        if decided.to_run:
            decided = decide(plan, root, read_history(root, study.name), fresh=fresh)
        _require_index(root, decided, identifier, takeover=takeover)
        return Launched(report=None, decided=decided, figures=complete_views(root, decided))
    resolved = resolve_revisions(plan.jobs, plan.revisions)
    root.require_writable()
    with study_lock(root, study.name, identifier, takeover=takeover):
        # Another launch may have run until now: everything is decided again under the lock.
        # The plan follows from the study and the revisions alone, so it stands if these do.
        resolved = remember_revisions(root, resolved)
        if resolved != plan.revisions:
            plan = make_plan(study, resolved)
        past = read_history(root, study.name)
        decided = decide(plan, root, past, fresh=fresh)
        wanted = _wanted(plan, only)
        for _ in range(_MOST_ROUNDS):
            space = measure_disk_space(
                root, [item for item in decided.decisions if item.job.key in wanted]
            )
            if space.warning:
                warn(f"warning: {space.warning}")
            write_study(root, plan, plan_document(plan, decided.decisions))
            with progress() as watcher:
                report = run_study(
                    [job for job in plan.jobs if job.key in wanted],
                    done=decided.keys(Decision.REUSE) - damaged,
                    stale=decided.keys(Decision.STALE) | damaged,
                    storage=root,
                    study=study.name,
                    launch=identifier,
                    executor=executor,
                    executor_name=executor_name,
                    past=past,
                    fresh=fresh,
                    watcher=watcher,
                )
            damaged = frozenset()
            decided = decide(plan, root, past)
            # A job made again with other bytes leaves those below it stale: once more, then.
            if (
                report.state is not LaunchState.COMPLETE
                or not decided.keys(Decision.STALE) & wanted
            ):
                break
        if report.state in (LaunchState.INTERRUPTED, LaunchState.CANCELLED):
            return Launched(report=report, decided=decided, figures=[])
        figures = refresh_views(root, decided)
        if report.ran:
            _mirror(root, decided, report, figures)
    return Launched(report=report, decided=decided, figures=figures)


def _require_index(root: Storage, decided: DecidedPlan, launch: str, *, takeover: bool) -> None:
    """See that the root knows this study as it is now, though all its jobs were done before.

    What the index names is what `gc` keeps.
    """
    plan = decided.plan
    planned = {cell_key(job.stage, job.cell): job.key for job in plan.jobs}
    if read_index(root, plan.study.name) != planned:
        with study_lock(root, plan.study.name, launch, takeover=takeover):
            write_study(root, plan, plan_document(plan, decided.decisions))


def _wanted(plan: Plan, only: Sequence[str]) -> Set[str]:
    """Return the keys of the selected jobs and of all jobs that they need, in any stage."""
    chosen = {job.key for job in select(plan.jobs, *only)}
    for job in reversed(plan.jobs):
        if job.key in chosen:
            chosen |= needs(job)
    return chosen


def _mirror(
    root: Storage, decided: DecidedPlan, report: LaunchReport, figures: Sequence[Path | str]
) -> None:
    """The summary run in W&B. A mirror that breaks must not cost the study its result."""
    from jobs.comparing.view import View
    from jobs.comparing.wandb_summary import mirror_study
    from jobs.worker.tracking import RunName

    done = [job for job in comparisons(decided) if job.key in decided.keys(Decision.REUSE)]
    if not done or report.state is not LaunchState.COMPLETE:
        return
    study = decided.plan.study.name
    origin = Origin(storage=root, root_id=root_id(root), study=study, commit=None)
    pictures = [
        path for folder in figures if isinstance(folder, Path) for path in folder.glob("*.png")
    ]
    mirror_study(
        RunName(
            root_id=origin.root_id,
            key=f"study {study}",
            study=study,
            kind="summary",
            label=f"{study} summary",
            folder=str(origin.mirror_folder),
            config={},
        ),
        comparisons=[(compared(root, decided, job), job.params_as(View)) for job in done],
        figures=sorted(pictures),
        reused=_labels(decided, set(report.reused)),
    )


def _labels(decided: DecidedPlan, keys: Set[str]) -> list[str]:
    jobs: list[Job] = [job for job in decided.plan.jobs if job.key in keys]
    return [job.label for job in jobs]
