"""Which nodes can be reached, by our own look: a connection to each, and none of Ray's word.

Ray gives a node that is cut off another minute by its defaults, and one whose processes were killed
15 s; its calls stand still meanwhile. A machine that refuses a connection says that nothing listens
there any more: that is certain within a second or two. One that says nothing may only be slow.
"""

import errno
import selectors
import socket
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from cluster.nodes.ray_nodes import Node, all_nodes

_LOOK_EVERY_S = 1.0
_ANSWERED_WITHIN_S = 1.5
_UNREACHABLE_S = 20.0
"""How long a node may answer nothing: a switch that restarts, or a storm of calls, is no death."""
_MOST_REFUSED = 2
"""Looks in a row at which a node that answered before refuses the connection: its Ray has ended."""


class NodeReach:
    """Looks whether nodes answer, at most every few seconds."""

    def __init__(self) -> None:
        self._looked_at = time.monotonic() - _LOOK_EVERY_S
        self._answered_at: dict[str, float] = {}
        self._refused: Counter[str] = Counter()
        self._cut_off: frozenset[str] = frozenset()

    def cut_off(self, nodes: Iterable[Node]) -> frozenset[str]:
        """Return the ids of those of these nodes that refuse, or have said nothing for too long.

        One that never answered counts as reached: something between may let nobody look.
        """
        now = time.monotonic()
        if now - self._looked_at < _LOOK_EVERY_S:
            return self._cut_off
        asked = list(nodes)
        looked = _look_at(asked)
        self._looked_at = time.monotonic()
        answering = {node.name for node in looked.answering}
        refusing = {node.name for node in looked.refusing}
        self._answered_at |= dict.fromkeys(answering, now)
        self._refused.update(refusing & self._answered_at.keys())
        for name in self._refused.keys() - refusing:
            del self._refused[name]
        self._cut_off = frozenset(
            node.name
            for node in asked
            if self._refused[node.name] >= _MOST_REFUSED
            or now - self._answered_at.get(node.name, now) > _UNREACHABLE_S
        )
        return self._cut_off

    def dead_of(self, names: frozenset[str]) -> frozenset[str]:
        """Return those of these nodes that are dead: Ray says so, or they are cut off."""
        nodes = [node for name, node in all_nodes().items() if name in names]
        return frozenset(node.name for node in nodes if not node.is_alive) | self.cut_off(nodes)


def answers(node: Node) -> bool:
    """Return whether a node answers now."""
    return bool(_look_at([node]).answering)


@dataclass(frozen=True, kw_only=True)
class _Looked:
    """What one look at several nodes showed; of the others nothing was heard."""

    answering: list[Node]
    """Those whose machine takes a connection."""
    refusing: list[Node]
    """Those whose machine says that nothing listens there."""


def _look_at(nodes: Iterable[Node]) -> _Looked:
    """Ask nodes for a connection, all at once."""
    looked = _Looked(answering=[], refusing=[])
    until = time.monotonic() + _ANSWERED_WITHIN_S
    with selectors.DefaultSelector() as selector:
        for node in nodes:
            family = socket.AF_INET6 if ":" in node.address else socket.AF_INET
            asking = socket.socket(family, socket.SOCK_STREAM)
            asking.setblocking(False)
            with suppress(OSError):
                asking.connect_ex((node.address, node.port))
                selector.register(asking, selectors.EVENT_WRITE, (asking, node))
                continue
            asking.close()
        while selector.get_map() and (left := until - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                asking, node = key.data
                error = asking.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if error == 0:
                    looked.answering.append(node)
                elif error == errno.ECONNREFUSED:
                    looked.refusing.append(node)
                selector.unregister(asking)
                asking.close()
        for key in list(selector.get_map().values()):
            key.data[0].close()
    return looked
