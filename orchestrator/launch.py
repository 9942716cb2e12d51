"""One launch of a study, from what stands to refreshed views. `resume` is a launch too."""

from collections.abc import Callable, Sequence, Set
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

from cluster.errors import DeltascaleError
from cluster.executor import Executor
from cluster.storage import Storage
from jobs.job import Job
from orchestrator.execution import new_launch_id, run_study
from orchestrator.explain import Decision, plan_document
from orchestrator.lock import study_lock
from orchestrator.outlook import Outlook, look
from orchestrator.policy import needs
from orchestrator.report import LaunchState, Report
from orchestrator.revisions import known_revisions, remember_revisions, resolve_revisions
from orchestrator.selector import select
from orchestrator.study import Study
from orchestrator.study_folder import write_study
from orchestrator.submission import Origin, root_id
from orchestrator.views import compared, comparisons, refresh_views
from orchestrator.watcher import Watcher


@dataclass(frozen=True, kw_only=True)
class Launched:
    """What a launch came to, and how the study stands after it."""

    report: Report | None
    """Counts and failures; None when there was nothing to do."""
    outlook: Outlook
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

    Raises:
        UserError: something in the study is wrong; nothing was written.
        SurroundingsError: lock held, root not writable, no cluster.
    """
    outlook = look(root, study, fresh=fresh)
    wanted = _wanted(outlook, only)
    if not wanted - outlook.keys(Decision.REUSE):
        return Launched(report=None, outlook=outlook, figures=_standing_views(root, outlook))
    root.require_writable()
    identifier = new_launch_id()
    with study_lock(root, study.name, identifier, takeover=takeover):
        known = known_revisions(root)
        resolved = resolve_revisions(outlook.plan.jobs, known)
        if resolved != known:
            remember_revisions(root, resolved)
        outlook = look(root, study, fresh=fresh, known=resolved)
        wanted = _wanted(outlook, only)
        write_study(root, outlook.plan, plan_document(outlook.plan, outlook.explained))
        with progress() as watcher:
            report = run_study(
                [job for job in outlook.plan.jobs if job.key in wanted],
                done=outlook.keys(Decision.REUSE),
                stale=outlook.keys(Decision.STALE),
                storage=root,
                study=study.name,
                launch=identifier,
                executor=executor,
                executor_name=executor_name,
                fresh=fresh,
                watcher=watcher,
            )
        outlook = look(root, study, known=resolved)
        if report.state in (LaunchState.INTERRUPTED, LaunchState.CANCELLED):
            return Launched(report=report, outlook=outlook, figures=[])
        figures = refresh_views(root, outlook)
        if report.ran:
            _mirror(root, outlook, report, figures)
    return Launched(report=report, outlook=outlook, figures=figures)


def _wanted(outlook: Outlook, only: Sequence[str]) -> Set[str]:
    """Keys of the selected jobs and of all that they need, whatever stage that is in."""
    chosen = {job.key for job in select(outlook.plan.jobs, *only)}
    for job in reversed(outlook.plan.jobs):
        if job.key in chosen:
            chosen |= needs(job)
    return chosen


def _standing_views(root: Storage, outlook: Outlook) -> list[Path | str]:
    """Folders of figures of a finished study; made again only if somebody deleted them."""
    folder = f"studies/{outlook.plan.study.name}"
    if len(root.list(f"{folder}/tables")) < len(comparisons(outlook)):
        return refresh_views(root, outlook)
    names = [f"{folder}/figures/{name}" for name in root.list(f"{folder}/figures")]
    return [root.path(name) if root.is_local else f"{root.url}/{name}" for name in names]


def _mirror(root: Storage, outlook: Outlook, report: Report, figures: Sequence[Path | str]) -> None:
    """The summary run in W&B. A mirror that breaks must not cost the study its result."""
    from jobs.comparing.summary import mirror_study
    from jobs.comparing.view import View
    from jobs.tracking import RunName

    done = [job for job in comparisons(outlook) if job.key in outlook.keys(Decision.REUSE)]
    if not done or report.state is not LaunchState.COMPLETE:
        return
    study = outlook.plan.study.name
    origin = Origin(storage=root, root_id=root_id(root), study=study, commit=None)
    pictures = [
        path for folder in figures if isinstance(folder, Path) for path in folder.glob("*.png")
    ]
    with suppress(OSError, DeltascaleError):
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
            tables=[compared(root, outlook, job).table(View(**job.params)) for job in done],
            figures=sorted(pictures),
            reused=_labels(outlook, set(report.reused)),
        )


def _labels(outlook: Outlook, keys: Set[str]) -> list[str]:
    jobs: list[Job] = [job for job in outlook.plan.jobs if job.key in keys]
    return [job.label for job in jobs]
