"""`CancelListener`: hears a request to cancel while the launch waits inside the very job.

With executor `local` a job runs in the process of the launch, which reads requests between two jobs
only. A thread then tells the job to stop; the dispatcher does the rest when it has ended.
"""

from orchestrator.dispatch.repeating_thread import RepeatingThread
from orchestrator.dispatch.requests import read_requests
from orchestrator.dispatch.running_launch import RunningLaunch
from orchestrator.dispatch.submitter import Submitter

_LOOK_EVERY_S = {True: 1.0, False: 10.0}
"""On local and on remote roots, where every look costs a request."""


class CancelListener:
    """Stops what somebody asks a launch to cancel, from a thread where the launch cannot."""

    def __init__(self, launch: RunningLaunch, attempts: Submitter) -> None:
        self.has_heard = False
        """Whether a request was heard that the dispatcher has not dealt with yet."""
        self._launch = launch
        self._attempts = attempts
        self._is_needed = getattr(launch.executor, "interrupt", None) is not None
        every_s = _LOOK_EVERY_S[launch.assigner.storage.is_local]
        self.thread = RepeatingThread(self.look_now, every_s, name="cancel listener")
        """Looks while the launch runs a job in its own process; ends with the launch."""

    def listen(self) -> None:
        """Listen from now on, where jobs run in this process."""
        if self._is_needed:
            self.thread.require()

    def look_now(self) -> None:
        """Stop what runs and is to be cancelled; the requests stay for the dispatcher."""
        launch = self._launch
        for request in read_requests(launch.assigner.storage, launch.assigner.study):
            if request.is_for(launch.id, since=launch.since):
                self.has_heard = True
                for key in self._attempts.running.jobs:
                    if request.keys is None or key in request.keys:
                        self._attempts.stop(key)
