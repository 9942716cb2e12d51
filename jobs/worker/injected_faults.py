"""Which faults is an attempt to meet on purpose? Those of its launch, if that injects any."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from cluster.executor import Surroundings
from cluster.storage import Storage
from jobs.worker.assignment import Assignment


class Arming(Protocol):
    """Arms a process, or one thread of it, with the faults of an attempt."""

    def armed(self, *, in_this_thread: bool = False) -> AbstractContextManager[None]:
        """Arm while the block runs."""


class _NoFaults:
    @contextmanager
    def armed(self, *, in_this_thread: bool = False) -> Iterator[None]:
        yield


def injector_of(assignment: Assignment, surroundings: Surroundings) -> Arming:
    """Return what arms this process with the faults that an attempt is to meet."""
    if not assignment.chaos:
        return _NoFaults()
    from cluster.chaos.injector import ChaosFolder, Injector

    return Injector(
        folder=ChaosFolder(Storage(assignment.root), assignment.chaos),
        who="job",
        labels=(assignment.stage, assignment.key),
        place={
            "job": assignment.label,
            "key": assignment.key,
            "attempt": assignment.attempt,
            "rank": surroundings.rank,
            "node": surroundings.node,
        },
        rank=(surroundings.rank, surroundings.num_ranks),
    )
