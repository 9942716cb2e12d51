"""`RunningLaunch`: what all parts of one launch share."""

from collections.abc import Sequence
from dataclasses import dataclass

from cluster.executor import Executor
from cluster.fault_points import fault_point
from cluster.locks.held import Held
from orchestrator.budget.budget import Budget
from orchestrator.budget.prices import Prices
from orchestrator.chaos import Chaos
from orchestrator.diagnosis.signature import KnownFailure
from orchestrator.dispatch.job_states import JobStates
from orchestrator.dispatch.record_checks import RecordChecks
from orchestrator.dispatch.waiting.patience import Patience
from orchestrator.dispatch.watcher import Watcher
from orchestrator.dispatch.worker_messages import Assigner
from orchestrator.plan.retention import Retention
from orchestrator.records.history import Journal
from orchestrator.watchdog.limits import Limits


@dataclass(frozen=True, kw_only=True)
class RunningLaunch:
    """One launch: its jobs, where they run, and who is told of them."""

    id: str
    """Id of the launch, with which the ids of its attempts begin."""
    since: float
    """When it took the study's lock, in seconds since the epoch."""
    states: JobStates
    """The jobs and their states."""
    assigner: Assigner
    """Makes what workers are handed; holds the root and the study's name."""
    executor: Executor
    """Where jobs run."""
    journal: Journal
    """The ledger, and what it says so far."""
    patience: Patience
    """How long the launch waits for its surroundings."""
    records: RecordChecks
    """Records of the jobs."""
    held: Held
    """The study's lock, asked before everything that this launch writes or submits."""
    watcher: Watcher
    """Follows the launch."""
    budget: Budget
    """The most that all launches of the study may spend."""
    prices: Prices | None
    """What machines cost; None where that is not known."""
    limits: Limits
    """How long a job may show no progress before it counts as hung."""
    retention: Retention
    """What is let go once it was read."""
    signatures: Sequence[KnownFailure] = ()
    """Signatures of failures that people brought along."""
    chaos: Chaos | None = None
    """Faults that it injects on purpose; None: none."""

    def begin_round(self) -> None:
        """Tell which faults were injected on purpose, before what follows from them.

        Raises SurroundingsError where the root does not say.
        """
        fault_point("round")
        if self.chaos is not None:
            for words in self.chaos.note_injected(self.journal):
                self.watcher.note_line(words)
