"""`RestingNodes`: nodes on which attempts met faults that the launch itself does not meet.

A host that cannot reach the storage, or whose disk is full, fails every job within seconds, is free
again before all others, and so would be given job after job. It rests instead, after each such
fault for twice as long, until an attempt on it goes well.
"""

from collections import Counter

from cluster.fault_classes import FaultClass
from orchestrator.dispatch.waiting.patience import Patience
from orchestrator.records.failure import Result

_OF_NODES = frozenset(
    {
        FaultClass.STORAGE_AWAY,
        FaultClass.STORAGE_FULL,
        FaultClass.STORAGE_READ_ONLY,
        FaultClass.NETWORK,
        FaultClass.PERMISSION,
        FaultClass.GPU,
    }
)
"""Faults that may be those of one node."""


class RestingNodes:
    """The nodes that get no more jobs for a while, by the names that outcomes give them."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._faults: Counter[str] = Counter()
        self._until: dict[str, float] = {}

    def note(self, node: str | None, result: Result, fault_class: FaultClass | None) -> None:
        """Take in how an attempt ended on a node; None where nobody knows the node."""
        if node is None:
            return
        if result is Result.DONE:
            self._faults.pop(node, None)
            self._until.pop(node, None)
        elif fault_class in _OF_NODES:
            self._faults[node] += 1
            pause_s = self._patience.pause_s(self._faults[node])
            self._until[node] = self._patience.clock() + pause_s

    def now(self, num_nodes: int) -> frozenset[str]:
        """Return the nodes that rest now; none where all do: then it is no fault of theirs."""
        now = self._patience.clock()
        resting = frozenset(node for node, until in self._until.items() if until > now)
        return resting if len(resting) < num_nodes else frozenset()
