"""One launch of a study: plan, decide, run what is not done, refresh tables and figures.

`resume` and `verify --repair` are launches, too. What is done under the study's lock is
`orchestrator/locked_launch.py`.
"""

import time
from collections.abc import Callable, Sequence, Set
from contextlib import AbstractContextManager, nullcontext
from functools import partial

from cluster.disk.temp_folders import swept
from cluster.executor import Executor
from cluster.machine.resources import Resources
from cluster.storage import Storage
from jobs.artifacts.job import Job
from jobs.entries.own_entries import apart
from jobs.hub.offline import hub_offline
from jobs.kind import KINDS
from jobs.mirror.client import notes_on_mirror
from orchestrator.before_running import check_before_running
from orchestrator.budget.budget import Budget
from orchestrator.budget.prices import Prices
from orchestrator.chaos import Chaos, ChaosRequest
from orchestrator.diagnosis.own_signatures import own_signatures
from orchestrator.dispatch.selection import selected_keys
from orchestrator.dispatch.waiting.patience import Patience
from orchestrator.dispatch.watcher import Watcher
from orchestrator.locked_launch import Launched, LockedLaunch
from orchestrator.permission.confirmation import allowed_keys
from orchestrator.plan.decided_plan import DecidedPlan, decide, plan_study
from orchestrator.plan.decisions import Decision
from orchestrator.plan.namesake import notes_on_namesake
from orchestrator.plan.plan_document import plan_document
from orchestrator.plan.retention import retention_of
from orchestrator.plan.study_folder import is_written, write_study, written_token
from orchestrator.records.history import History, read_history
from orchestrator.records.launch_id import new_launch_id
from orchestrator.records.letting_go import LettingGo
from orchestrator.records.lock import study_lock
from orchestrator.records.what_runs import names_what_runs
from orchestrator.study.study import Study
from orchestrator.views.study_views import (
    complete_views,
    drop_outdated_views,
)
from orchestrator.watchdog.limits import Limits


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
    signatures = own_signatures(study.folder)
    plan = plan_study(root, study)
    injected = Chaos(root, study.name, plan.jobs, chaos) if chaos else None
    identifier = new_launch_id(root, study.name)
    # Records alone say what is done; the ledger is read once, under the lock.
    decided = decide(plan, root, History())
    wanted = selected_keys(plan.jobs, only)
    if wanted <= decided.keys(Decision.REUSE):
        if decided.to_run:
            decided = decide(plan, root, read_history(root, study.name), fresh=fresh)
        return _run_nothing(root, decided, wanted, identifier, takeover=takeover, warn=warn)
    # Also what is done by now: under the lock, or in a later round, it may be missing or stale.
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
        return LockedLaunch(
            root=root,
            study=study,
            identifier=identifier,
            since=since,
            held=held,
            plan=plan,
            only=only,
            revisions=revisions.resolved,
            executor=executor,
            executor_name=executor_name,
            progress=progress,
            fresh=fresh,
            patience=patience or Patience(),
            budget=budget,
            prices=prices,
            machines=machines or (),
            chaos=injected,
            limits=limits,
            signatures=signatures,
            warn=warn,
        ).run()


def _armed(injected: Chaos | None) -> AbstractContextManager[Sequence[str]]:
    return injected.armed() if injected else nullcontext(())


def _pushes(job: Job) -> bool:
    kind = KINDS.find(job.kind)
    return kind.pushes(job.params_as(kind.Params))


def _run_nothing(
    root: Storage,
    decided: DecidedPlan,
    wanted: Set[str],
    launch: str,
    *,
    takeover: bool,
    warn: Callable[[str], None],
) -> Launched:
    """End a launch all of whose jobs were done before; its views are completed without a lock."""
    for text in notes_on_namesake(root, decided.plan):
        warn(f"note: {text}")
    _require_index(root, decided, launch, takeover=takeover)
    _let_go_read(root, decided, launch, takeover=takeover)
    drop_outdated_views(root, decided)
    figures = complete_views(root, decided)
    return Launched(report=None, decided=decided, asked_for=wanted, figures=figures)


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
