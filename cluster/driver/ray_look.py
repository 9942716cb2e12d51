"""What a look at the nodes shows: what there is, whether Ray has gone, and calls it never ends.

Ray does not end a call whose node can no longer be reached (2.60: the connection to its worker
hangs, while the node itself is known to be dead). Such calls are found here and given up.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cluster.driver.ray_calls import Call, RayCalls
from cluster.driver.ray_session import RaySession
from cluster.executor import Ending, NodeRoom, Outcome
from cluster.fault_classes import FaultClass
from cluster.machine.resources import Resources
from cluster.nodes.memory_pressure import MemoryPressure
from cluster.nodes.node_reach import NodeReach
from cluster.nodes.ray_nodes import Node, all_nodes, free_on, is_named, nodes_of_tasks

_LOOK_AGAIN_S = (0.0, 2.0, 5.0, 15.0)
"""Seconds after a node's death at which its calls are looked for: what was sent to it is written
down within a second or two."""
_STUCK_S = 20.0
"""How long after a node's death a call may wait for a place while there is room for it. One that
waits longer asked the dead node for it, and would wait for ever."""
_STUCK_LOOKS_S = 120.0
"""How long after a node's death calls may be found that wait for it."""

_NOTHING = Resources(num_cpus=0)


@dataclass(frozen=True, kw_only=True)
class NodeLook:
    """What one look showed."""

    nodes: Sequence[Resources] = ()
    """What each living node offers."""
    free: Sequence[Resources] = ()
    """What each of them has left."""
    lost: str | None = None
    """Why there is no Ray any more, or None."""
    dead_calls: Mapping[str, Outcome] = field(default_factory=dict)
    """Calls that will never end, by ticket."""
    warnings: Sequence[str] = ()
    """What the user has to know of nodes that came."""
    rooms: Sequence[NodeRoom] = ()
    """The living nodes by name."""


class RayWatch:
    """Looks at the nodes of a Ray, again and again."""

    def __init__(self, session: RaySession, calls: RayCalls, pressure: MemoryPressure) -> None:
        self._session = session
        self._calls = calls
        self._pressure = pressure
        self.shunned: frozenset[str] = frozenset()
        """Ids or addresses of nodes to which nothing more is sent, though they live."""
        self._reach = NodeReach()
        self._died_at: dict[str, float] = {}
        self._looked: dict[str, int] = {}

    def look(self) -> NodeLook:
        """Look once. Blocks while Ray does not answer, until Ray ends this process."""
        lost = self._session.lost_part()
        if lost is not None:
            return NodeLook(lost=lost)
        nodes = all_nodes()
        own = nodes.get(self._session.node_id)
        if own is None or not own.is_alive:
            return NodeLook(lost=f"the node of this launch ({own.address if own else '?'}) is dead")
        cut_off = self._reach.cut_off(
            node for node in nodes.values() if node.is_alive and node is not own
        )
        reached = [node for node in nodes.values() if node.is_alive and node.name not in cut_off]
        checks = self._session.checks
        unfit = checks.unfit(reached) if checks else frozenset()
        living = [node for node in reached if node.name not in unfit]
        shunned = frozenset(node.name for node in living if is_named(node, self.shunned))
        self._calls.avoid(cut_off | unfit | shunned)
        self._pressure.look(frozenset(node.name for node in living))
        free = [
            _NOTHING if node.name in self._pressure.nodes | shunned else left
            for node, left in zip(living, free_on(living), strict=True)
        ]
        return NodeLook(
            nodes=[node.offers for node in living],
            free=free,
            dead_calls=self._dead_calls(nodes, cut_off, free),
            warnings=checks.warnings() if checks else (),
            rooms=[
                NodeRoom(
                    name=node.name,
                    address=node.address,
                    offers=node.offers,
                    free=left,
                    host=node.host,
                    is_here=node is own,
                )
                for node, left in zip(living, free, strict=True)
            ],
        )

    def _dead_calls(
        self, nodes: Mapping[str, Node], cut_off: frozenset[str], free: Sequence[Resources]
    ) -> dict[str, Outcome]:
        now, waiting = time.monotonic(), self._calls.waiting
        dead = {name for name, node in nodes.items() if not node.is_alive} | cut_off
        for name in self._died_at.keys() - dead:  # it was cut off, and answers again
            del self._died_at[name], self._looked[name]
        for name in dead - self._died_at.keys():
            self._died_at[name], self._looked[name] = now, 0
        # Ray goes on sending calls to a node that is cut off until it takes it for dead itself.
        due = [name for name in dead if self._is_due(name, now, is_last=name not in cut_off)]
        last_death = max(self._died_at.values(), default=-_STUCK_LOOKS_S)
        is_stuck_time = _STUCK_S < now - last_death < _STUCK_LOOKS_S
        if not waiting or not (due or is_stuck_time):
            return {}
        places = nodes_of_tasks()
        lost = {}
        for ticket, call in waiting.items():
            place = places.get(call.ref.task_id().hex())
            if place in dead:
                lost[ticket] = _lost(ticket, nodes[place])
            elif place is None and is_stuck_time and _is_stuck(call, last_death, free):
                lost[ticket] = _lost(ticket, None)
        return lost

    def _is_due(self, name: str, now: float, *, is_last: bool) -> bool:
        number = min(self._looked[name], len(_LOOK_AGAIN_S))
        if number == len(_LOOK_AGAIN_S) and is_last:
            return False
        wait_s = _LOOK_AGAIN_S[number] if number < len(_LOOK_AGAIN_S) else 0.0
        if now < self._died_at[name] + wait_s:
            return False
        self._looked[name] += 1
        return True


def _is_stuck(call: Call, last_death: float, free: Sequence[Resources]) -> bool:
    part = call.resources.on_each_node
    return call.since < last_death and sum(part.fits(node) for node in free) >= (
        call.resources.num_nodes
    )


def _lost(ticket: str, node: Node | None) -> Outcome:
    where = f"its node ({node.address}) is dead" if node else "the node it was to run on is dead"
    return Outcome(
        ticket=ticket,
        ending=Ending.LOST,
        error=f"{where}: Ray cannot reach it any more",
        node=node.address if node else None,
        node_id=node.name if node else None,
        fault_class=FaultClass.LOST_NODE,
    )
