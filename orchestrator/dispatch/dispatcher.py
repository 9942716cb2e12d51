"""The dispatcher, the only loop: submits what the policy picks and believes only records."""

import time
from collections.abc import Sequence

from cluster.executor import Outcome
from cluster.locks.held import LockLost
from cluster.resources import Resources
from orchestrator.dispatch.attempt_endings import AttemptEndings
from orchestrator.dispatch.cancel_requests import take_requests
from orchestrator.dispatch.interruption import Interruption, handle_signals
from orchestrator.dispatch.job_queue import JobQueue
from orchestrator.dispatch.policy import Load
from orchestrator.dispatch.running_attempts import SharedJobs
from orchestrator.dispatch.running_launch import RunningLaunch
from orchestrator.dispatch.submitter import Submitter
from orchestrator.dispatch.worker_messages import write_request

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

    def __init__(self, launch: RunningLaunch) -> None:
        self.is_cancelled = False
        self.interruption = Interruption()
        self.queue = JobQueue(launch)
        shared = SharedJobs(launch.states.jobs.values(), self.queue.priorities)
        self.attempts = Submitter(launch, shared)
        self.endings = AttemptEndings(launch, self.queue, self.attempts)
        self._launch = launch
        self._states = launch.states
        self._looked_at = 0.0

    def run(self) -> None:
        """Run jobs until nothing more can be done, or somebody ends the launch."""
        self._survey()
        self.queue.make_ready(self._states.startable())
        with handle_signals() as self.interruption:
            try:
                self._loop()
            except LockLost:
                self._drain()  # whoever has the lock runs these jobs from here on
                raise
            self._drain()
        self._launch.watcher.tick(self._states.counts)
        self._launch.journal.flush()

    def _loop(self) -> None:
        while self._states.unsettled and not (self.interruption.requested or self.is_cancelled):
            self._launch.held.check()
            self._look_around()
            self._revisit_parked()
            self._submit()
            self._pause()

    def _survey(self) -> None:
        """Look at the machines; cancel and refuse what they cannot hold any more."""
        if self.queue.survey():
            self.attempts.cancel_unplaceable(self.queue.machines.nodes)

    def _look_around(self) -> None:
        storage, now = self._launch.assigner.storage, time.monotonic()
        if now - self._looked_at < (
            _LOCAL_LOOK_EVERY_S if storage.is_local else _REMOTE_LOOK_EVERY_S
        ):
            return
        self._looked_at = now
        self._survey()
        self._launch.held.confirm()  # requests are another launch's, once the lock is lost
        for requested in take_requests(storage, self._launch.assigner.study):
            if requested is None:
                self.is_cancelled = True
            else:
                keys = requested & self._states.jobs.keys()
                for key in keys:
                    self.attempts.stop(key)
                self.queue.cancel(keys)

    def _revisit_parked(self) -> None:
        parked = self.queue.parked
        for key in list(parked):
            if self._launch.records.winner(self._states.jobs[key]) is not None:
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
            self.attempts.submit(self._states.jobs[key], self.queue.layout(key))

    def _load(self, free: Sequence[Resources] | None) -> Load:
        return self.attempts.running.load(self.queue.machines.capacity, free)

    def _start(self, key: str) -> None:
        job = self._states.jobs[key]
        if self._launch.records.is_done(job):
            self.endings.reuse(key)
            return
        self._launch.held.check()
        write_request(self._launch.assigner.storage, job)
        self._states.start(key)
        self.attempts.submit(job, self.queue.layout(key))

    def _pause(self) -> None:
        """Wait until an attempt ends, or for a tick; a first Ctrl-C ends the wait."""
        self._launch.watcher.tick(self._states.counts)
        self._launch.journal.flush()
        outcomes: list[Outcome] = []
        with self.interruption.waiting():
            outcomes = self._launch.executor.wait(_TICK_S)
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
