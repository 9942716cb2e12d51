"""Lets artifacts go while a launch runs, as soon as every job that reads them is done."""

from collections.abc import Set

from orchestrator.dispatch.job_states import JobState
from orchestrator.dispatch.running_launch import RunningLaunch
from orchestrator.records.letting_go import Gone, LettingGo


class ReadArtifacts:
    """The artifacts of a launch that go once they were read."""

    def __init__(self, launch: RunningLaunch, done: Set[str]) -> None:
        """Take in what is done.

        Args:
            launch: the launch.
            done: keys of the jobs of the plan that are done, also of those not launched now.
        """
        self.gone: list[Gone] = []
        """What was let go."""
        self._launch = launch
        self._retention = launch.retention
        self._done_before = done
        self._letting_go = LettingGo(launch.assigner.storage, launch.assigner.study, launch.held)
        self._due: list[str] = []
        self._standing = list(self._retention.readers)
        self._num_done = -1

    def let_go(self) -> None:
        """Let go what all have read; raises what the storage raises, and goes on the next time."""
        now = self._launch.states.counts[JobState.DONE]
        if now != self._num_done:
            settled = self._letting_go.settled
            self._standing = [key for key in self._standing if key not in settled]
            self._due = [key for key in self._standing if self._is_read(key)]
            self._num_done = now
        while self._due:
            key = self._due[-1]
            kinds = self._retention.kinds
            readers = {reader: kinds[reader] for reader in self._retention.readers[key]}
            gone = self._letting_go.let_go(kinds[key], key, readers)
            self.gone += [gone] if gone else []
            self._due.pop()

    def _is_read(self, key: str) -> bool:
        """Tell whether a job and all that read it are done."""
        return all(self._is_done(one) for one in (key, *self._retention.readers[key]))

    def _is_done(self, key: str) -> bool:
        state = self._launch.states.by_key.get(key)
        return key in self._done_before if state is None else state is JobState.DONE
