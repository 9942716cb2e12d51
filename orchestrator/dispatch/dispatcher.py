"""The dispatcher, the only loop: submits what the policy picks and believes only records."""

import time
from collections.abc import Sequence, Set

from cluster.executor import Executor, Outcome
from cluster.resources import Resources
from orchestrator.dispatch.attempt_endings import AttemptEndings
from orchestrator.dispatch.cancel_requests import take_requests
from orchestrator.dispatch.interruption import Interruption, handle_signals
from orchestrator.dispatch.job_queue import JobQueue
from orchestrator.dispatch.job_states import JobStates
from orchestrator.dispatch.policy import Load
from orchestrator.dispatch.record_checks import RecordChecks
from orchestrator.dispatch.running_attempts import SharedJobs
from orchestrator.dispatch.submission import Assigner, write_request
from orchestrator.dispatch.submitter import Submitter
from orchestrator.dispatch.watcher import Watcher
from orchestrator.records.history import Journal

_TICK_S = 0.5
_LOCAL_LOOK_EVERY_S = 1.0
_REMOTE_LOOK_EVERY_S = 5.0
"""How often requests and machines are looked at; on a remote root every look costs a request."""
_DRAIN_S = 15.0
"""After an interruption, how long running jobs may take to save their checkpoints."""


class Dispatcher:
    """One launch's loop over the states of its jobs and an executor.

    Call `queue.settle_past`, then `run` with the executor started, when anything is left to run.
    """

    def __init__(
        self,
        *,
        states: JobStates,
        launch: str,
        assigner: Assigner,
        executor: Executor,
        journal: Journal,
        stale: Set[str],
        watcher: Watcher,
    ) -> None:
        self.is_cancelled = False
        self.interruption = Interruption()
        self._assigner = assigner
        self._executor = executor
        self._journal = journal
        self._watcher = watcher
        self._records = RecordChecks(
            assigner.storage, (job for key, job in states.jobs.items() if key in stale)
        )
        self.queue = JobQueue(
            states=states,
            executor=executor,
            records=self._records,
            journal=journal,
            watcher=watcher,
        )
        self.attempts = Submitter(
            executor=executor,
            assigner=assigner,
            launch=launch,
            shared=SharedJobs(states.jobs.values(), self.queue.priorities),
            journal=journal,
            watcher=watcher,
        )
        self.endings = AttemptEndings(
            storage=assigner.storage,
            queue=self.queue,
            attempts=self.attempts,
            records=self._records,
            journal=journal,
            watcher=watcher,
        )
        self._looked_at = 0.0

    def run(self) -> None:
        """Run jobs until nothing more can be done, or somebody ends the launch."""
        states = self.queue.states
        self._survey()
        self.queue.make_ready(states.startable())
        with handle_signals() as self.interruption:
            while states.unsettled and not (self.interruption.requested or self.is_cancelled):
                self._look_around()
                self._revisit_parked()
                self._submit()
                self._pause()
            self._drain()
        self._watcher.tick(states.counts)
        self._journal.flush()

    def _survey(self) -> None:
        """Look at the machines; cancel and refuse what they cannot hold any more."""
        if self.queue.survey():
            self.attempts.cancel_unplaceable(self.queue.machines.nodes)

    def _look_around(self) -> None:
        storage, now = self._assigner.storage, time.monotonic()
        if now - self._looked_at < (
            _LOCAL_LOOK_EVERY_S if storage.is_local else _REMOTE_LOOK_EVERY_S
        ):
            return
        self._looked_at = now
        self._survey()
        for request in take_requests(storage, self._assigner.study):
            if request.keys is None:
                self.is_cancelled = True
            else:
                keys = request.keys & self.queue.states.jobs.keys()
                for key in keys:
                    self.attempts.stop(key)
                self.queue.cancel(keys)

    def _revisit_parked(self) -> None:
        parked = self.queue.parked
        for key in list(parked):
            if self._records.winner(self.queue.states.jobs[key]) is not None:
                parked.remove(key)
                self.endings.reuse(key)
            elif parked.is_due(key):
                parked.remove(key)
                self.queue.make_ready([key])

    def _submit(self) -> None:
        """Start the ready jobs that fit, then let workers join running jobs on what is left."""
        if self.is_cancelled:
            return
        ready = self.queue.ready
        free = self.queue.machines.free_for(offer.resources for offer in ready.offers())
        while (key := ready.take(self._load(free))) is not None:
            self._start(key)
        waiting = ready.offers()
        while (key := self.attempts.next_to_join(waiting, self._load(free))) is not None:
            self.attempts.submit(self.queue.states.jobs[key], self.queue.layout(key))

    def _load(self, free: Sequence[Resources] | None) -> Load:
        return self.attempts.running.load(self.queue.machines.capacity, free)

    def _start(self, key: str) -> None:
        job = self.queue.states.jobs[key]
        if self._records.is_done(job):
            self.endings.reuse(key)
            return
        write_request(self._assigner.storage, job)
        self.queue.states.start(key)
        self.attempts.submit(job, self.queue.layout(key))

    def _pause(self) -> None:
        """Wait until an attempt ends, or for a tick; a first Ctrl-C ends the wait."""
        self._watcher.tick(self.queue.states.counts)
        self._journal.flush()
        outcomes: list[Outcome] = []
        with self.interruption.waiting():
            outcomes = self._executor.wait(_TICK_S)
        for outcome in outcomes:
            key = self.endings.settle(
                outcome, is_ending=self.is_cancelled or self.interruption.requested
            )
            if key is not None:
                self._survey()  # the job's node may be gone
                self.queue.retry(key)

    def _drain(self) -> None:
        """Ask all attempts to stop and wait a while; those that go on get no ending."""
        for key in self.attempts.running.jobs:
            self.attempts.stop(key)
        until = time.monotonic() + _DRAIN_S
        try:
            while self.attempts.running and time.monotonic() < until:
                self._pause()
        except KeyboardInterrupt:
            return  # a second Ctrl-C
