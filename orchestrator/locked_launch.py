"""`LockedLaunch`: what a launch does while it holds the lock of its study.

Everything is decided again, what is not done runs, tables and figures are refreshed. Faults of the
storage are waited out, as in the dispatcher's loop.
"""

from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from cluster.disk.temp_folders import own_temp_folder
from cluster.errors import SurroundingsError
from cluster.executor import Executor
from cluster.locks.held import Held
from cluster.machine.resources import Resources
from cluster.storage import Storage
from jobs.mirror.outage import MirrorOutage
from orchestrator.budget.budget import Budget
from orchestrator.budget.prices import Prices
from orchestrator.budget.spending import spent_on
from orchestrator.chaos import Chaos
from orchestrator.diagnosis.signature import KnownFailure
from orchestrator.dispatch.execution import LaunchReport, run_study
from orchestrator.dispatch.job_states import keys_needed
from orchestrator.dispatch.peak_disk import peak_disk
from orchestrator.dispatch.selection import selected_keys
from orchestrator.dispatch.waiting.outage import Wait, persist, persist_under_lock
from orchestrator.dispatch.waiting.patience import Patience
from orchestrator.dispatch.watcher import Watcher
from orchestrator.mirroring.live_mirror import live_mirror
from orchestrator.mirroring.names import summary_name
from orchestrator.plan.budget_forecast import why_too_small
from orchestrator.plan.decided_plan import DecidedPlan, decide, plan_study
from orchestrator.plan.decisions import Decision
from orchestrator.plan.disk_space import measure_disk_space
from orchestrator.plan.plan import Plan
from orchestrator.plan.plan_document import plan_document
from orchestrator.plan.retention import retention_of
from orchestrator.plan.revisions import remember_revisions
from orchestrator.plan.study_folder import write_study, written_token
from orchestrator.records.events import LaunchState
from orchestrator.records.history import History, read_history
from orchestrator.records.letting_go import may_go_meanwhile
from orchestrator.study.study import Study
from orchestrator.unforeseen import left_to_the_ending
from orchestrator.views.study_views import (
    collect_measured,
    comparisons,
    drop_outdated_views,
    refresh_views,
)
from orchestrator.watchdog.limits import Limits

T = TypeVar("T")

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


@dataclass(kw_only=True, eq=False)
class LockedLaunch:
    """One launch of a study, from its lock on."""

    root: Storage
    """The output root."""
    study: Study
    """The study."""
    identifier: str
    """Id of the launch."""
    since: float
    """When it asked for the lock, in seconds since the epoch."""
    held: Held
    """The lock."""
    plan: Plan
    """The study's plan; at first the one that was made before the lock."""
    only: Sequence[str]
    """Selectors of the jobs to run, with what they need; empty for all jobs."""
    revisions: Mapping[str, str]
    """Name of a model that may move (a branch) -> its commit; kept in the root."""
    executor: Executor
    """Where jobs run; not started when there is nothing to run."""
    executor_name: str
    """Name of the executor, as the ledger has it."""
    progress: Callable[[], AbstractContextManager[Watcher]]
    """Opens the watcher of a round."""
    fresh: bool
    """True where failed jobs may be tried as often as new ones."""
    patience: Patience
    """How long it waits for its surroundings."""
    budget: Budget | None
    """The most that all launches of the study may spend; None for any amount."""
    prices: Prices | None
    """Prices of the machines; None where these are not known."""
    machines: Sequence[Resources]
    """Nodes that hours, and with a budget the cost, are foreseen for."""
    chaos: Chaos | None
    """Faults to inject on purpose; None for none. The caller has armed this process."""
    limits: Limits | None
    """How long jobs may show no progress; None for as long as usual."""
    signatures: Sequence[KnownFailure]
    """Signatures of failures that people brought along."""
    warn: Callable[[str], None]
    """Takes warnings for the user."""
    past: History = field(init=False)
    """The study's ledger."""
    decided: DecidedPlan = field(init=False)
    """The plan, decided as the root stands now."""
    wanted: Set[str] = field(init=False)
    """Keys of the jobs to run, with what they need."""
    _hours: Mapping[str, float] = field(init=False)

    def run(self) -> Launched:
        """Run what is not done, again while that leaves jobs stale; then refresh the views."""
        self._look_again()
        self._hours = self._foresee()
        for _ in range(_MOST_ROUNDS):
            report = self._run_round()
            if report.state in _STOPPED:
                with suppress(SurroundingsError):
                    self._decide()
                return self._launched(report, [])
            self._persist(self._decide)
            # A job that was made again with other bytes leaves jobs downstream stale.
            if (
                report.state is not LaunchState.COMPLETE
                or not self.decided.keys(Decision.STALE) & self.wanted
            ):
                break
        if written_token(self.root, self.study.name) != self.held.token:
            # A coordinator that woke after its lock was taken wrote over the plan of this one.
            self._write_down()
        return self._launched(report, self._refresh_views(report))

    def _look_again(self) -> None:
        """Plan and decide under the lock: another launch may have run, a data file changed."""

        def look_again() -> tuple[Plan, History, DecidedPlan]:
            remember_revisions(self.root, self.revisions)
            plan = plan_study(self.root, self.study, self.plan)
            past = read_history(self.root, self.study.name)
            return plan, past, decide(plan, self.root, past, fresh=self.fresh)

        self.plan, self.past, self.decided = self._wait_for(look_again)
        self.wanted = selected_keys(self.plan.jobs, self.only)

    def _foresee(self) -> Mapping[str, float]:
        """Warn of a budget that may be too small; return key -> hours, as far as machines tell."""
        budget = self.budget
        if not budget and not any(node.num_gpus for node in self.machines):
            return {}
        foreseen = self._wait_for(
            lambda: decide(
                self.plan, self.root, self.past, fresh=self.fresh, machines=self.machines
            )
        )
        if budget:
            chosen = [item for item in foreseen.decisions if item.job.key in self.wanted]
            spent = self._wait_for(lambda: spent_on(budget, self.root, self.past))
            for text in why_too_small(budget, chosen, spent, self.prices):
                self.warn(f"warning: {text}")
        return {
            item.job.key: item.fit.hours
            for item in foreseen.decisions
            if item.fit is not None and item.fit.hours is not None
        }

    def _run_round(self) -> LaunchReport:
        """Write the plan down and run what it says is not done."""
        self._wait_for(self._warn_of_full_disk)
        self._wait_for(self._write_plan)
        name = self.study.name
        with self.progress() as watcher, live_mirror(self.root, name, self.identifier) as mirror:
            report = run_study(
                [job for job in self.plan.jobs if job.key in self.wanted],
                done=self.decided.keys(Decision.REUSE),
                stale=self.decided.keys(Decision.STALE),
                storage=self.root,
                study=name,
                launch=self.identifier,
                executor=self.executor,
                executor_name=self.executor_name,
                past=self.past,
                fresh=self.fresh,
                held=self.held,
                patience=self.patience,
                since=self.since,
                watcher=watcher,
                budget=self.budget,
                prices=self.prices,
                retention=retention_of(self.plan),
                chaos=self.chaos,
                limits=self.limits,
                signatures=self.signatures,
            )
            mirror.state = report.state.value
        if reason := MirrorOutage(self.root.url, name, self.identifier).reason:
            self.warn(
                f"W&B is away ({reason}): runs are offline; `deltascale sync {name}` sends them"
            )
        return report

    def _warn_of_full_disk(self) -> None:
        chosen = [self.decided.by_key[key] for key in self.wanted]
        space = measure_disk_space(self.root, chosen)
        if space.warning:
            peak = peak_disk(chosen, retention_of(self.plan))
            self.warn(f"warning: {space.warning}{f'; {peak.summary}' if peak else ''}")

    def _write_plan(self) -> None:
        self._write_down()
        if may_go_meanwhile(self.root, self.study.name, _reused_inputs(self.decided)):
            # What another launch lets go from now on, it keeps for what this index names.
            self.decided = decide(self.plan, self.root, self.past, fresh=self.fresh)

    def _write_down(self) -> None:
        left_out = self.plan.by_key.keys() - self.wanted
        decisions = self.decided.decisions
        document = plan_document(self.plan, decisions, self.identifier, self._hours, left_out)
        write_study(self.root, self.plan, document, self.held)

    def _decide(self) -> None:
        self.decided = decide(self.plan, self.root, self.past)

    def _refresh_views(self, report: LaunchReport) -> Sequence[Path | str]:
        """Write tables and figures anew, and the study's summary in W&B; return their folders."""
        figures: list[Path | str] = []
        is_incomplete = report.state is not LaunchState.COMPLETE
        with left_to_the_ending(is_incomplete, self.root.url, self.warn):
            self._persist(lambda: drop_outdated_views(self.root, self.decided, self.held))
            figures = self._persist(lambda: refresh_views(self.root, self.decided, self.held))
            if report.ran:
                with suppress(SurroundingsError), own_temp_folder():  # the study has its result
                    self.held.confirm()
                    _mirror(self.root, self.decided, report, figures, self.identifier)
        return figures

    def _launched(self, report: LaunchReport, figures: Sequence[Path | str]) -> Launched:
        return Launched(report=report, decided=self.decided, asked_for=self.wanted, figures=figures)

    def _wait_for(self, action: Callable[[], T]) -> T:
        return persist_under_lock(action, self.root, self.patience, self._tell)

    def _persist(self, action: Callable[[], T]) -> T:
        return persist(action, self.patience, self._tell)

    def _tell(self, wait: Wait | None) -> None:
        self.warn(str(wait) if wait else "the wait is over")


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
