"""The dispatcher, the only loop: submits what the policy picks and believes only records.

It takes its steps in rounds (`outage.py`): what a fault of the storage or the cluster keeps it from
doing is done in a later round, and jobs that run go on meanwhile.
"""

import math
import signal
import time
from collections.abc import Callable, Sequence, Set
from contextlib import suppress

from cluster.errors import DeltascaleError, SurroundingsError
from cluster.executor import Outcome
from cluster.locks.held import LockLost
from cluster.machine.resources import Resources
from jobs.worker.mounted_root import require_mounted
from orchestrator.dispatch.attempt_endings import AttemptEndings
from orchestrator.dispatch.budget_watch import BudgetWatch
from orchestrator.dispatch.failure_notes import FailureNotes
from orchestrator.dispatch.interruption import Interruption, handle_signals
from orchestrator.dispatch.job_consequences import JobConsequences
from orchestrator.dispatch.job_queue import JobQueue
from orchestrator.dispatch.node_watch import NodeWatch
from orchestrator.dispatch.policy import Load
from orchestrator.dispatch.read_artifacts import ReadArtifacts
from orchestrator.dispatch.request_taker import RequestTaker
from orchestrator.dispatch.running_attempts import SharedJobs
from orchestrator.dispatch.running_launch import RunningLaunch
from orchestrator.dispatch.submitter import Submitter
from orchestrator.dispatch.waiting.outage import Outage, Wait
from orchestrator.dispatch.waiting.storage_probe import try_to_write
from orchestrator.records.events import LaunchState, Stopping, Waiting
from orchestrator.records.failure import is_for_all

_TICK_S = 0.5
_LOOK_EVERY_S = {True: 1.0, False: 5.0}
"""How often requests and machines are looked at, on local and on remote roots, where every look
costs a request."""
_DRAIN_S = 58.0
"""After an interruption or `deltascale cancel`, how long jobs that run may take to save: what does
not stop by itself within 40 s is killed."""
_TERM_DRAIN_S = 25.0
"""The same after SIGTERM: SLURM, Kubernetes and shutdowns kill what is there 30 s later."""
_LONG_DRAIN_S = 120.0
"""The same where the launch gives up waiting: nobody is in a hurry then."""
_WORTH_TELLING_S = 5.0
"""Jobs that wait for their surroundings for less are not told of."""


class Dispatcher:
    """One launch's loop over the states of its jobs and an executor.

    Call `queue.settle_past`, then `run` with the executor started, when anything is left to run.
    """

    def __init__(self, launch: RunningLaunch, done: Set[str] = frozenset()) -> None:
        self.gave_up_on: Wait | None = None
        """What the launch waited for until it gave up; None where it did not."""
        self.interruption = Interruption()
        self.queue = JobQueue(launch)
        shared = SharedJobs(launch.states.jobs.values(), self.queue.priorities, launch.patience)
        self.attempts = Submitter(launch, shared)
        self.budget = BudgetWatch(launch, self.queue, self.attempts)
        notes, saving = FailureNotes(launch), self.budget.saving
        self.consequences = JobConsequences(launch, self.queue, self.attempts, notes, saving)
        self.endings = AttemptEndings(launch, self.attempts, self.consequences, notes)
        self.nodes = NodeWatch(launch, self.queue, self.consequences.nodes)
        self.read_artifacts = ReadArtifacts(launch, done)
        self.spent_budget: str | None = None
        """What was spent when the budget ended the launch, in a sentence; None where it did not."""
        self._launch = launch
        self._states = launch.states
        self._clock = launch.patience.clock
        self._outage = Outage(launch.patience)
        self.requests = RequestTaker(launch, self.queue, self.attempts)
        self._told: Wait | None = None
        self._looked_at = -math.inf

    def is_spent_already(self) -> bool:
        """Tell, before any machine is asked for, whether the budget allows no job to start."""
        if not self._launch.budget:
            return False
        with suppress(LockLost):  # the loop sees whether it is away with its file system
            self._outage.try_round([self.read_artifacts.let_go, self.budget.count])
        if self.budget.allows_one_of(self._states.startable()):
            return False
        self.spent_budget = self.budget.describe()
        return True

    def run(self) -> None:
        """Run jobs until nothing more can be done, or somebody ends the launch."""
        self.queue.make_ready(self._states.startable())
        with (
            self.endings.watch.thread,
            self.requests.listener.thread,
            self.queue.writers,
            handle_signals() as signals,
        ):
            self.interruption = signals
            try:
                self._loop()
            except Exception:  # a lost lock, a fault of ours: what runs is saved all the same
                with suppress(Exception):
                    self._drain()
                raise
            self._drain()
        self._launch.watcher.tick(self._states.counts)
        with suppress(SurroundingsError):
            self._launch.journal.flush()

    def _loop(self) -> None:
        self._take_steps()
        while self._is_to_go_on():
            self._listen(is_ending=False)
            self.budget.stop_what_costs()
            self.budget.beat()
            self._take_steps()

    def _take_steps(self) -> None:
        """Do all that can be done now, and tell what keeps the rest."""
        try:
            self._outage.try_round(self._steps)
        except LockLost:
            # The lock's file is away with its file system, and comes back with it.
            self._outage.try_round([self._require_root])
            if self._outage.wait is None:
                raise
        self._tell()

    @property
    def _steps(self) -> Sequence[Callable[[], None]]:
        """What is done in each round: first what touches the storage alone, then the machines."""
        return (
            self._launch.begin_round,
            self._require_root,
            self._launch.held.check,
            self._settle,
            self._launch.journal.flush,
            self._probe,
            self._take_requests,
            self._start_again,
            self._shun_nodes,
            self._survey,
            self.endings.watch.look,
            self._revisit_parked,
            self.queue.lay_out,
            self.read_artifacts.let_go,
            self.budget.count,
            self._submit,
            self._launch.journal.flush,
            self._looked,
        )

    def _is_to_go_on(self) -> bool:
        """Return False once all is done, or somebody or the launch's patience ends it."""
        if self.interruption.requested or self.requests.is_cancelled:
            return False
        if self._outage.is_too_long or self._waits_in_vain():
            self.gave_up_on = self._outage.wait or self.queue.parked.oldest_wait
            return False
        if self.budget.is_spent() and not self.endings.has_unsettled:
            self.spent_budget = self.budget.describe()
            return False
        return bool(self._states.unsettled or self._launch.journal.has_unwritten)

    def _waits_in_vain(self) -> bool:
        """Tell whether nothing but jobs that wait for their surroundings is left, for too long."""
        wait = self.queue.parked.oldest_wait
        if wait is None or self.attempts.running or len(self.queue.ready):
            return False
        since = max(wait.began, self.consequences.finished_at)
        return self._clock() - since > self._launch.patience.gives_up_after_s

    def _require_root(self) -> None:
        require_mounted(self._launch.assigner.storage)

    def _settle(self) -> None:
        if self.endings.settle(is_ending=self.requests.is_cancelled or self.interruption.requested):
            self._looked_at = -math.inf  # the node of a job that failed may be gone

    def _probe(self) -> None:
        """Try to write as much as a job might, once a job found the storage full or away."""
        if self.consequences.doubts_storage:
            try_to_write(self._launch.assigner.storage, self._launch.assigner.study)
            self.consequences.doubts_storage = False

    def _start_again(self) -> None:
        """Have machines again after a cluster was lost; what ran there comes back as lost."""
        if self._outage.is_without_cluster:
            self._launch.executor.start()
            self.nodes.begin_anew()
            self._outage.is_without_cluster = False
            self._looked_at = -math.inf
            self.queue.forbear()

    @property
    def _is_to_look(self) -> bool:
        every_s = _LOOK_EVERY_S[self._launch.assigner.storage.is_local]
        return self._clock() - self._looked_at >= every_s

    def _looked(self) -> None:
        if self._is_to_look:
            self._looked_at = self._clock()

    def _survey(self) -> None:
        """Look at the machines; cancel and refuse what they cannot hold any more."""
        if not self._is_to_look:
            return
        self.endings.withdraw_overdue()
        if self.queue.survey() and self.queue.machines.nodes:
            self.attempts.cancel_unplaceable(self.queue.machines.nodes)

    def _shun_nodes(self) -> None:
        if self.nodes.shun():
            self._looked_at = -math.inf

    def _take_requests(self) -> None:
        self.requests.take(is_to_look=self._is_to_look)

    def _revisit_parked(self) -> None:
        parked = self.queue.parked
        for key in list(parked):
            is_elsewhere = not parked.is_waiting(key)
            if is_elsewhere and self._launch.records.winner(self._states.jobs[key]) is not None:
                parked.forget(key)
                self.consequences.reuse(key)
            elif parked.is_due(key):
                parked.remove(key)
                self.queue.make_ready([key])

    def _submit(self) -> None:
        """Start the ready jobs that fit, then let workers join running jobs on what is left."""
        if self.requests.is_cancelled:
            return
        ready = self.queue.ready
        free = self.queue.machines.free_for(offer.resources for offer in ready.offers())
        while (key := ready.take(self._load(free), self.budget.allows)) is not None:
            slots = self._states.jobs[key].resources.times_in(self.queue.machines.capacity)
            self._start([key, *self.queue.take_company(key, slots)])
        waiting = ready.offers()
        while (key := self.attempts.next_to_join(waiting, self._load(free))) is not None:
            if not self.budget.allows(key, self._states.jobs[key].resources):
                break
            self.attempts.submit([(self._states.jobs[key], self.queue.layout(key))])

    def _load(self, free: Sequence[Resources] | None) -> Load:
        return self.attempts.running.load(self.queue.machines.capacity, free)

    def _start(self, keys: Sequence[str]) -> None:
        """Start jobs in one call, but for those that turn out to be done or cannot be tried."""
        try:
            keys = self.queue.request([key for key in keys if self._is_left(key)])
            avoided = self.nodes.avoided_by(keys)
            if avoided is None:
                self.queue.park(keys[0])  # until there is room elsewhere
                return
            if keys:
                for folder in {self._states.jobs[key].folder.rpartition("/")[0] for key in keys}:
                    self._launch.assigner.storage.sync_names(folder)
                jobs = [(self._states.jobs[key], self.queue.layout(key)) for key in keys]
                self.attempts.submit(jobs, avoided)
        except Exception:
            self.queue.make_ready(keys)
            raise
        for key in keys:
            self._states.start(key)

    def _is_left(self, key: str) -> bool:
        """Return False where a job is done by now, or its place is taken."""
        try:
            is_done = self._launch.records.is_done(self._states.jobs[key])
        except DeltascaleError as fault:
            if not is_for_all(fault.fault_class):
                raise
            self.queue.refuse(key, str(fault))
            return False
        if is_done:
            self.consequences.reuse(key)
        return not is_done

    def _listen(self, *, is_ending: bool) -> None:
        """Wait until an attempt ends, or for a tick; a first Ctrl-C ends the wait.

        One that came while jobs were started keeps it from beginning, or it would be unheard until
        a job ends that runs in this process.
        """
        self._launch.watcher.tick(self._states.counts)
        outcomes: list[Outcome] = []
        with self.interruption.waiting():
            if self.interruption.requested and not is_ending:
                pass
            elif self._outage.is_without_cluster:
                self._launch.patience.sleep(_TICK_S)
            else:
                outcomes = self._outcomes()
        for outcome in outcomes:
            self.endings.take(outcome)

    def _outcomes(self) -> list[Outcome]:
        try:
            return self._launch.executor.wait(_TICK_S)
        except Exception as error:  # the machines have gone; anything else is raised again
            self._outage.note(error)
            self._launch.patience.sleep(_TICK_S)
            return []

    def _tell(self) -> None:
        """Tell the watcher and the ledger what is waited for, when that has changed."""
        wait, parked = self._outage.wait, self.queue.parked.oldest_wait
        if wait is None and parked and self._clock() - parked.began >= _WORTH_TELLING_S:
            wait = parked
        if (wait and (wait.fault_class, wait.began)) == (
            self._told and (self._told.fault_class, self._told.began)
        ):
            return
        self._told = wait
        self._launch.watcher.note_wait(wait)
        now = time.time()
        self._launch.journal.append(wait.event(now) if wait else Waiting(at=now))

    @property
    def is_time_over(self) -> bool:
        """Tell whether a scheduler ended the launch for now, and will start it again."""
        may_go_on = self._launch.patience.saves_within_s is not None
        return may_go_on and self.interruption.is_of_scheduler

    @property
    def stops_as(self) -> LaunchState:
        """What a launch is that ends before all its jobs are done."""
        if self.gave_up_on is not None or self.is_time_over:
            return LaunchState.SUSPENDED
        if self.spent_budget is not None:
            return LaunchState.OUT_OF_BUDGET
        if self.interruption.requested:
            return LaunchState.INTERRUPTED
        return LaunchState.CANCELLED if self.requests.is_cancelled else LaunchState.FAILED

    @property
    def _drain_s(self) -> float:
        within_s = self._launch.patience.saves_within_s
        if within_s is not None and self.interruption.is_announced:
            return within_s
        if self.interruption.number == signal.SIGTERM:
            return _TERM_DRAIN_S
        return _LONG_DRAIN_S if self.gave_up_on else _DRAIN_S

    @property
    def _save_s(self) -> float | None:
        """How long jobs may save before they are killed; None: as the executor has it."""
        return None if self._drain_s == _DRAIN_S else self._drain_s

    def _drain(self) -> None:
        """Ask all attempts to stop and wait a while; those that go on get no ending."""
        if self._states.unsettled:
            self._launch.journal.append(Stopping(at=time.time(), state=self.stops_as.value))
        for key in self.attempts.running.jobs:
            self.attempts.stop(key, within_s=self._save_s)
        until = self._clock() + self._drain_s
        try:
            while self.attempts.running and self._clock() < until:
                if self._outage.is_without_cluster:
                    break  # nothing is left that may save
                self._listen(is_ending=True)
                self._outage.try_round((self._launch.journal.flush, self._settle))
        except KeyboardInterrupt:
            return  # a second Ctrl-C
        with suppress(SurroundingsError):
            try:
                self._settle()
            except Exception as error:  # whatever a storage raises; what is none of its passes on
                self._outage.note(error)
            else:
                self._outage.try_round([self.read_artifacts.let_go])
        self.budget.beat(is_last=True)
