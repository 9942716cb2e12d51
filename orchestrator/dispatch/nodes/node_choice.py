"""`NodeChoice`: which nodes get no jobs now, and which jobs go to other nodes than before.

Three rules of growing length: a node rests for seconds after a fault of its surroundings
(`resting_nodes.py`); a job does not go back for minutes to a node that may be to blame for its
failure; a node that fails different jobs is in quarantine (`quarantine.py`). None of them leaves a
job without a node that could hold it.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from cluster.executor import Executor, NodeRoom
from cluster.fault_classes import FaultClass
from cluster.machine.resources import Resources
from orchestrator.dispatch.nodes.quarantine import Quarantine, Quarantined
from orchestrator.dispatch.nodes.resting_nodes import RestingNodes
from orchestrator.dispatch.waiting.patience import Patience
from orchestrator.plan.machines import can_hold
from orchestrator.records.failure import MAYBE_OF_NODE, OF_ONE_NODE, Result
from orchestrator.text import duration

_FIRST_S = 600.0
_LONGEST_S = 8 * 3600.0


@dataclass(kw_only=True)
class _Exclusion:
    """A node that a job does not go back to for a while."""

    until: float
    """When it may again, by the launch's clock."""
    num_times: int
    """How often the job failed there."""


class NodeChoice:
    """What the failures of a launch say about the nodes that its jobs go to."""

    def __init__(self, executor: Executor, patience: Patience) -> None:
        self._executor = executor
        self._patience = patience
        self._resting = RestingNodes(patience)
        self._quarantine = Quarantine(patience.clock)
        self._excluded: dict[str, dict[str, _Exclusion]] = {}

    def note(
        self,
        key: str,
        stage: str,
        *,
        node: str | None,
        node_id: str | None,
        result: Result,
        fault_class: FaultClass | None,
    ) -> None:
        """Take in how an attempt at a job ended.

        Args:
            key: of the job.
            stage: its stage.
            node: address of the node where it failed or went well; None where nobody knows it.
            node_id: the cluster's own name of it, where known.
            result: how it ended.
            fault_class: whose fault it is; None where it did not fail.
        """
        name = self._name_of(node, node_id)
        self._resting.note(name or (None if self._rooms() else node), result, fault_class)
        if name is None:
            return
        self._quarantine.note(name, key, stage, result, fault_class)
        if result is Result.DONE:
            self._excluded.pop(key, None)
        elif fault_class in OF_ONE_NODE | MAYBE_OF_NODE:
            before = self._excluded.setdefault(key, {}).get(name)
            num_times = before.num_times + 1 if before else 1
            seconds = min(_LONGEST_S, _FIRST_S * 2.0 ** (num_times - 1))
            until = self._patience.clock() + seconds
            self._excluded[key][name] = _Exclusion(until=until, num_times=num_times)

    def avoided_by(self, key: str, resources: Resources) -> frozenset[str]:
        """Return the nodes that a job does not go to now; none where no other could hold it."""
        now = self._patience.clock()
        excluded = frozenset(
            name for name, one in self._excluded.get(key, {}).items() if one.until > now
        )
        if not excluded or not can_hold(self._offers(excluded | self.quarantined), resources):
            return frozenset()
        return excluded

    def has_room_for(self, resources: Resources, avoided: frozenset[str]) -> bool:
        """Tell whether what is free now holds a job without going to some nodes."""
        avoided |= self.quarantined
        free = [room.free for room in self._rooms() if room.name not in avoided]
        return can_hold(free, resources)

    def describe(self, key: str, avoided: Iterable[str]) -> str:
        """Say which nodes a job does not go to, and for how long."""
        now, addresses = self._patience.clock(), {room.name: room for room in self._rooms()}
        texts = [
            f"{addresses[name].address if name in addresses else name} for "
            f"{duration(self._excluded[key][name].until - now)}"
            for name in sorted(avoided)
        ]
        return f"not on {', '.join(texts)}"

    @property
    def quarantined(self) -> frozenset[str]:
        """The nodes that are in quarantine."""
        return self._quarantine.now()

    def shunned(self, num_nodes: int) -> frozenset[str]:
        """Return the nodes that get no jobs now: in quarantine, and at rest where that leaves one.

        Args:
            num_nodes: how many nodes there are.
        """
        quarantined = self.quarantined
        return quarantined | self._resting.now(num_nodes - len(quarantined))

    def review(self, shapes: Callable[[], Collection[Resources]]) -> Iterator[Quarantined]:
        """Begin and end quarantines, and yield what has changed.

        Args:
            shapes: returns what the jobs need that are not done: what some nodes hold of it, nodes
                that are not in quarantine must hold.
        """

        def is_enough(without: frozenset[str]) -> bool:
            rooms, left = self._offers(frozenset()), self._offers(without)
            return bool(left) and all(
                can_hold(left, shape) for shape in shapes() if can_hold(rooms, shape)
            )

        yield from self._quarantine.review(is_enough)

    def address_of(self, name: str) -> str:
        """Return a node's name for people: its address, and its id where others share that."""
        rooms = self._rooms()
        addresses = [room.address for room in rooms]
        for room in rooms:
            if room.name == name:
                is_shared = addresses.count(room.address) > 1
                return f"{room.address} ({name[:8]})" if is_shared else room.address
        return name

    def _name_of(self, node: str | None, node_id: str | None) -> str | None:
        if node_id is not None:
            return node_id
        named = [room.name for room in self._rooms() if room.address == node]
        return named[0] if len(named) == 1 else None

    def _offers(self, without: frozenset[str]) -> list[Resources]:
        return [room.offers for room in self._rooms() if room.name not in without]

    def _rooms(self) -> Sequence[NodeRoom]:
        return self._executor.rooms()
