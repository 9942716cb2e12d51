"""Jobs that are looked at again after growing pauses: another launch, or a fault, keeps them."""

from collections import Counter
from collections.abc import Iterator

from cluster.fault_classes import FaultClass
from orchestrator.dispatch.waiting.outage import Wait
from orchestrator.dispatch.waiting.patience import Patience

_PAUSES_S = (1.0, 2.0, 4.0, 8.0)
"""Pauses before looking again at a job that another launch is at; the last one repeats."""


class ParkedJobs:
    """Jobs that another launch is at, and jobs that wait for their surroundings."""

    def __init__(self, patience: Patience) -> None:
        self._until: dict[str, float] = {}
        self._num_times: Counter[str] = Counter()
        self._waits: dict[str, Wait] = {}
        self._patience = patience

    def __iter__(self) -> Iterator[str]:
        return iter(self._until)

    def __contains__(self, key: object) -> bool:
        return key in self._until

    def __len__(self) -> int:
        return len(self._until)

    def add(self, key: str) -> None:
        """Park a job that another launch is at, or that finds no room beside others."""
        self.forget(key)
        pause = _PAUSES_S[min(self._num_times[key], len(_PAUSES_S) - 1)]
        self._num_times[key] += 1
        self._until[key] = self._patience.clock() + pause

    def add_waiting(self, key: str, wait: Wait, *, is_new: bool) -> None:
        """Park a job whose surroundings failed; unless it `is_new`, its wait goes on from before.

        The job counts as waiting also while it is tried again, until `forget`.
        """
        before = self._waits.get(key)
        if before is None or is_new or before.fault_class is not wait.fault_class:
            self._num_times[key] = 0
            self._waits[key] = wait
        self._num_times[key] += 1
        self._until[key] = self._patience.clock() + self._patience.pause_s(self._num_times[key])

    def remove(self, key: str) -> None:
        """Take a job out, if it is parked, to be tried again."""
        self._until.pop(key, None)

    def take_waiting_for(self, fault_class: FaultClass) -> list[str]:
        """Take out the jobs that wait for this to be over, and return their keys: it may be."""
        keys = [
            key
            for key in self._until
            if (wait := self._waits.get(key)) is not None and wait.fault_class is fault_class
        ]
        for key in keys:
            self.remove(key)
        return keys

    def forget(self, key: str) -> None:
        """Take a job out that waits for nothing any more."""
        self.remove(key)
        if self._waits.pop(key, None) is not None:
            del self._num_times[key]

    def is_due(self, key: str) -> bool:
        """Return True when the pause of a job is over."""
        return self._patience.clock() >= self._until[key]

    def is_waiting(self, key: str) -> bool:
        """Return True for a job that waits for its surroundings, not for another launch."""
        return key in self._waits

    @property
    def oldest_wait(self) -> Wait | None:
        """What some job has waited for longest; None when no job waits for its surroundings."""
        return min(self._waits.values(), key=lambda wait: wait.began, default=None)
