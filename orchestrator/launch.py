"""One launch of a study: plan, decide, run what is not done, refresh tables and figures.

`resume` and `verify --repair` are launches, too.
"""

import time
from collections.abc import Callable, Sequence, Set
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cluster.disk.temp_folders import own_temp_folder, swept
from cluster.errors import SurroundingsError
from cluster.executor import Executor
from cluster.machine.resources import Resources
from cluster.storage import Storage
from jobs.artifacts.job import Job
from jobs.entries.own_entries import apart
from jobs.hub.offline import hub_offline
from jobs.kind import KINDS
from jobs.mirror.client import notes_on_mirror
from jobs.mirror.outage import MirrorOutage
from orchestrator.before_running import check_before_running
from orchestrator.budget.budget import Budget
from orchestrator.budget.prices import Prices
from orchestrator.budget.spending import spent_on
from orchestrator.chaos import Chaos, ChaosRequest
from orchestrator.diagnosis.own_signatures import own_signatures
from orchestrator.dispatch.execution import LaunchReport, run_study
from orchestrator.dispatch.job_states import keys_needed
from orchestrator.dispatch.peak_disk import peak_disk
from orchestrator.dispatch.selection import selected_keys
from orchestrator.dispatch.waiting.outage import Wait, persist, persist_under_lock
from orchestrator.dispatch.waiting.patience import Patience
from orchestrator.dispatch.watcher import Watcher
from orchestrator.mirroring.live_mirror import live_mirror
from orchestrator.mirroring.names import summary_name
from orchestrator.permission.confirmation import allowed_keys
from orchestrator.plan.budget_forecast import why_too_small
from orchestrator.plan.decided_plan import DecidedPlan, decide, plan_study
from orchestrator.plan.decisions import Decision
from orchestrator.plan.disk_space import measure_disk_space
from orchestrator.plan.namesake import notes_on_namesake
from orchestrator.plan.plan import Plan
from orchestrator.plan.plan_document import plan_document
from orchestrator.plan.retention import retention_of
from orchestrator.plan.revisions import remember_revisions
from orchestrator.plan.study_folder import is_written, write_study, written_token
from orchestrator.records.events import LaunchState
from orchestrator.records.history import History, read_history
from orchestrator.records.launch_id import new_launch_id
from orchestrator.records.letting_go import LettingGo, may_go_meanwhile
from orchestrator.records.lock import study_lock
from orchestrator.records.what_runs import names_what_runs
from orchestrator.study.study import Study
from orchestrator.unforeseen import left_to_the_ending
from orchestrator.views.study_views import (
    collect_measured,
    comparisons,
    complete_views,
    drop_outdated_views,
    refresh_views,
)
from orchestrator.watchdog.limits import Limits

_STOPPED = frozenset(
    {
        LaunchState.INTERRUPTED,
        LaunchState.CANCELLED,
        LaunchState.SUSPENDED,
        LaunchState.OUT_OF_BUDGET,
    }
)
"""States in which a launch ends before its jobs do: tables are not waited for."""
_MOST_ROUNDS = 3
"""Most rounds until nothing is stale; one is enough unless artifacts come out with other bytes."""


@dataclass(frozen=True, kw_only=True)
class Launched:
    """How a launch ended, and the state of the study after it."""

    report: LaunchReport | None
    """Counts and failures; None when there was nothing to do."""
    decided: DecidedPlan
    """The plan of the study, decided after the launch."""
    asked_for: Set[str]
    """Keys of the jobs that it was to run, with what they need: all of the study, or some."""
    figures: Sequence[Path | str]
    """Folders of figures."""

    @property
    def exit_code(self) -> int:
        """0 complete, 1 with failed jobs, 75 gave up waiting, 76 budget spent, 130 interrupted."""
        return self.report.exit_code if self.report else 0


@names_what_runs
@swept()
@apart()
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
    patience: Patience | None = None,
    permit: Callable[[Sequence[Job]], object] | None = None,
    budget: Budget | None = None,
    prices: Prices | None = None,
    machines: Sequence[Resources] | None = None,
    chaos: ChaosRequest | None = None,
    limits: Limits | None = None,
    warn: Callable[[str], None] = lambda text: None,
) -> Launched:
    """Run what is not done.

    Args:
        root: the output root.
        study: the study.
        executor: where jobs run; not started when there is nothing to run.
        executor_name: its name, for the ledger.
        progress: opens the watcher of the launch, once there is something to run.
        only: selectors of the jobs to run, with what they need; empty for all jobs.
        fresh: give failed jobs a new retry budget.
        takeover: take the lease from a holder that is known to be gone (remote roots).
        patience: how long to wait for the surroundings; None for as long as usual.
        permit: is given the jobs that may have to run, and raises UserError where the user does
            not allow what they send; None asks the user's own files alone.
        budget: the most that all launches of the study on this root may spend; None for any amount.
        prices: what machines cost; None where that is not known.
        machines: nodes to foresee the cost for, where there is a budget; None foresees none.
        chaos: faults to inject on purpose; None for none.
        limits: how long jobs may show no progress; None for as long as usual.
        warn: takes warnings for the user, before anything runs and after.

    Returns:
        How the launch ended. When all jobs were done already, nothing was locked or run.

    Raises:
        UserError: something in the study is wrong; nothing was written.
        SurroundingsError: the lock is held, the root is not writable, or there is no cluster.
    """
    patience = patience or Patience()
    signatures = own_signatures(study.folder)
    plan = plan_study(root, study)
    injected = Chaos(root, study.name, plan.jobs, chaos) if chaos else None
    identifier = new_launch_id(root, study.name)
    # Records alone say what is done; the ledger is read once, under the lock.
    decided = decide(plan, root, History())
    if not selected_keys(plan.jobs, only) - decided.keys(Decision.REUSE):
        if decided.to_run:
            decided = decide(plan, root, read_history(root, study.name), fresh=fresh)
        for text in notes_on_namesake(root, plan):
            warn(f"note: {text}")
        _require_index(root, decided, identifier, takeover=takeover)
        _let_go_read(root, decided, identifier, takeover=takeover)
        drop_outdated_views(root, decided)
        shown, asked_for = complete_views(root, decided), selected_keys(plan.jobs, only)
        return Launched(report=None, decided=decided, asked_for=asked_for, figures=shown)

    def tell(wait: Wait | None) -> None:
        warn(str(wait) if wait else "the wait is over")

    # Also what is done by now: under the lock, or in a later round, it may be missing or stale.
    wanted = selected_keys(plan.jobs, only)
    revisions = check_before_running(
        root,
        plan,
        [decision for decision in decided.to_run if decision.job.key in wanted],
        permit=permit or partial(allowed_keys, root, study.name),
        permitted=[job for job in plan.jobs if job.key in wanted],
        warn=warn,
    )
    for text in notes_on_mirror():
        warn(f"note: {text}")
    since = time.time()
    above = written_token(root, study.name)
    with (
        study_lock(root, study.name, identifier, takeover=takeover, above=above) as held,
        hub_offline(revisions.is_offline and not any(map(_pushes, plan.jobs))),
        _armed(injected) as notes,
    ):
        for text in notes:
            warn(text)

        # Another launch may have run until now, or a data file changed: what was planned before
        # the lock is checked, and everything is decided again. From here on faults of the storage
        # are waited out, as in the loop.
        def look_again() -> tuple[Plan, History, DecidedPlan]:
            remember_revisions(root, revisions.resolved)
            again, so_far = plan_study(root, study, plan), read_history(root, study.name)
            return again, so_far, decide(again, root, so_far, fresh=fresh)

        plan, past, decided = persist_under_lock(look_again, root, patience, tell)
        wanted = selected_keys(plan.jobs, only)
        hours: dict[str, float] = {}
        if budget or any(node.num_gpus for node in machines or ()):
            foreseen = persist_under_lock(
                lambda: decide(plan, root, past, fresh=fresh, machines=machines),
                root,
                patience,
                tell,
            )
            hours = {
                item.job.key: item.fit.hours
                for item in foreseen.decisions
                if item.fit is not None and item.fit.hours is not None
            }
        if budget:
            chosen = [item for item in foreseen.decisions if item.job.key in wanted]
            spent = persist_under_lock(lambda: spent_on(budget, root, past), root, patience, tell)
            for text in why_too_small(budget, chosen, spent, prices):
                warn(f"warning: {text}")

        def write_down(decided: DecidedPlan) -> None:
            left_out = plan.by_key.keys() - wanted
            document = plan_document(plan, decided.decisions, identifier, hours, left_out)
            write_study(root, plan, document, held)

        def write_plan(decided: DecidedPlan) -> DecidedPlan:
            write_down(decided)
            if may_go_meanwhile(root, study.name, _reused_inputs(decided)):
                # What another launch lets go from now on, it keeps for what this index names.
                return decide(plan, root, past, fresh=fresh)
            return decided

        for _ in range(_MOST_ROUNDS):
            warn_of_disk = partial(_warn_of_full_disk, root, decided, wanted, warn)
            persist_under_lock(warn_of_disk, root, patience, tell)
            decided = persist_under_lock(partial(write_plan, decided), root, patience, tell)
            with progress() as watcher, live_mirror(root, study.name, identifier) as mirror:
                report = run_study(
                    [job for job in plan.jobs if job.key in wanted],
                    done=decided.keys(Decision.REUSE),
                    stale=decided.keys(Decision.STALE),
                    storage=root,
                    study=study.name,
                    launch=identifier,
                    executor=executor,
                    executor_name=executor_name,
                    past=past,
                    fresh=fresh,
                    held=held,
                    patience=patience,
                    since=since,
                    watcher=watcher,
                    budget=budget,
                    prices=prices,
                    retention=retention_of(plan),
                    chaos=injected,
                    limits=limits,
                    signatures=signatures,
                )
                mirror.state = report.state.value
            if reason := MirrorOutage(root.url, study.name, identifier).reason:
                warn(
                    f"W&B is away ({reason}): runs are offline; "
                    f"`deltascale sync {study.name}` sends them"
                )
            if report.state in _STOPPED:
                with suppress(SurroundingsError):
                    decided = decide(plan, root, past)
                return Launched(report=report, decided=decided, asked_for=wanted, figures=[])
            decided = persist(lambda: decide(plan, root, past), patience, tell)
            # A job that was made again with other bytes leaves jobs downstream stale.
            if (
                report.state is not LaunchState.COMPLETE
                or not decided.keys(Decision.STALE) & wanted
            ):
                break
        if written_token(root, study.name) != held.token:
            # A coordinator that woke after its lock was taken wrote over the plan of this one.
            write_down(decided)
        figures: list[Path | str] = []
        with left_to_the_ending(report.state is not LaunchState.COMPLETE, root.url, warn):
            persist(lambda: drop_outdated_views(root, decided, held), patience, tell)
            figures = persist(lambda: refresh_views(root, decided, held), patience, tell)
            if report.ran:
                with suppress(SurroundingsError), own_temp_folder():  # the study has its result
                    held.confirm()
                    _mirror(root, decided, report, figures, identifier)
    return Launched(report=report, decided=decided, asked_for=wanted, figures=figures)


def _armed(injected: Chaos | None) -> AbstractContextManager[Sequence[str]]:
    return injected.armed() if injected else nullcontext(())


def _pushes(job: Job) -> bool:
    kind = KINDS.find(job.kind)
    return kind.pushes(job.params_as(kind.Params))


def _warn_of_full_disk(
    root: Storage, decided: DecidedPlan, wanted: Set[str], warn: Callable[[str], None]
) -> None:
    chosen = [decided.by_key[key] for key in wanted]
    space = measure_disk_space(root, chosen)
    if space.warning:
        peak = peak_disk(chosen, retention_of(decided.plan))
        warn(f"warning: {space.warning}{f'; {peak.summary}' if peak else ''}")


def _require_index(root: Storage, decided: DecidedPlan, launch: str, *, takeover: bool) -> None:
    """Write the study under the root, unless it is there whole, as planned now.

    `gc` keeps what the index names, also of a study whose jobs were all done before.
    """
    plan = decided.plan
    if not is_written(root, plan):
        above = written_token(root, plan.study.name)
        with study_lock(root, plan.study.name, launch, takeover=takeover, above=above) as held:
            write_study(root, plan, plan_document(plan, decided.decisions, launch), held)


def _let_go_read(root: Storage, decided: DecidedPlan, launch: str, *, takeover: bool) -> None:
    """Let go what is due in a study that has nothing to run, or what a killed launch began to."""
    retention, study = retention_of(decided.plan), decided.plan.study.name
    done = decided.keys(Decision.REUSE)
    unlocked = LettingGo(root, study)
    due = [
        key
        for key, readers in retention.readers.items()
        if {key, *readers} <= done
        and (not decided.by_key[key].is_let_go or unlocked.has_begun(retention.kinds[key], key))
    ]
    if not due:
        return
    above = written_token(root, study)
    with study_lock(root, study, launch, takeover=takeover, above=above) as held:
        letting_go = LettingGo(root, study, held)
        for key in due:
            readers = {reader: retention.kinds[reader] for reader in retention.readers[key]}
            letting_go.let_go(retention.kinds[key], key, readers)


def _reused_inputs(decided: DecidedPlan) -> set[str]:
    """Return the keys of what is done and what jobs that are to run read."""
    jobs = decided.plan.by_key
    return decided.keys(Decision.REUSE) & {
        key for item in decided.to_run for key in keys_needed(item.job, jobs)
    }


def _mirror(
    root: Storage,
    decided: DecidedPlan,
    report: LaunchReport,
    figures: Sequence[Path | str],
    launch: str,
) -> None:
    """Write the summary run in W&B; a mirror that fails does not cost the study its result."""
    from jobs.comparing.view import View
    from jobs.comparing.wandb_summary import mirror_study

    done = [job for job in comparisons(decided) if job.key in decided.keys(Decision.REUSE)]
    if not done or report.state is not LaunchState.COMPLETE:
        return
    study, reused = decided.plan.study.name, set(report.reused)
    pictures = [
        path for folder in figures if isinstance(folder, Path) for path in folder.glob("*.png")
    ]
    mirror_study(
        summary_name(root, study, launch),
        comparisons=[(collect_measured(root, decided, job), job.params_as(View)) for job in done],
        figures=sorted(pictures),
        reused=[job.label for job in decided.plan.jobs if job.key in reused],
    )
