"""`RequestTaker`: does what other processes ask of a launch: to cancel jobs, to try them again."""

import time

from orchestrator.dispatch.cancel_listener import CancelListener
from orchestrator.dispatch.job_queue import JobQueue
from orchestrator.dispatch.requests import Request, drop_request, read_requests
from orchestrator.dispatch.running_launch import RunningLaunch
from orchestrator.dispatch.submitter import Submitter
from orchestrator.records.events import Renewed, Stopping


class RequestTaker:
    """Takes the requests that lie under the root for one launch."""

    def __init__(self, launch: RunningLaunch, queue: JobQueue, attempts: Submitter) -> None:
        self.is_cancelled = False
        """Whether somebody has cancelled the launch itself."""
        self.listener = CancelListener(launch, attempts)
        self._launch, self._queue, self._attempts = launch, queue, attempts
        self._jobs = launch.states.jobs
        self._heeded: set[str] = set()
        """Names of requests that were done, for a root may refuse to remove them."""

    def take(self, *, is_to_look: bool) -> None:
        """Do what is asked; a request goes once it is done.

        Args:
            is_to_look: whether a look is due; one that was heard of is done all the same.
        """
        self.listener.listen()
        if not is_to_look and not self.listener.has_heard:
            return
        self.listener.has_heard = False
        storage, study = self._launch.assigner.storage, self._launch.assigner.study
        self._launch.held.confirm()  # requests are another launch's, once the lock is lost
        for request in read_requests(storage, study):
            self._renew(request)
            if request.is_for(self._launch.id, since=self._launch.since):
                self._cancel(request.keys)
            drop_request(storage, study, request)

    def heed_retries(self) -> None:
        """Give the jobs fresh budgets for which that was asked while no launch looked."""
        storage, study = self._launch.assigner.storage, self._launch.assigner.study
        for request in read_requests(storage, study):
            if request.retry:
                self._renew(request)
                drop_request(storage, study, request)

    def _renew(self, request: Request) -> None:
        """Give jobs a fresh retry budget, once; those that failed or were cancelled wait again.

        What this launch is not to run has its budget for the next one.
        """
        journal, keys = self._launch.journal, request.retry & self._jobs.keys()
        known = keys | (request.retry & journal.past.jobs.keys())
        if known and request.name not in self._heeded:
            journal.append(Renewed(at=time.time(), keys=sorted(known)))
            self._attempts.shared.reopen(keys)
            self._queue.renew(keys)
            self._heeded.add(request.name)

    def _cancel(self, keys: frozenset[str] | None) -> None:
        if keys is None:
            self.is_cancelled = True
            return
        keys &= self._jobs.keys()
        if not keys <= self._launch.journal.past.cancelled:
            self._launch.journal.append(Stopping(at=time.time(), keys=sorted(keys)))
        for key in keys:
            self._attempts.stop(key)
        self._queue.cancel(keys)
