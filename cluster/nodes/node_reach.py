"""Which nodes can be reached, by our own look: a connection to each, and none of Ray's word.

Ray gives a node that is cut off another minute by its defaults; its calls stand still meanwhile.
"""

import selectors
import socket
import time
from collections.abc import Iterable
from contextlib import suppress

from cluster.nodes.ray_nodes import Node, all_nodes

_LOOK_EVERY_S = 2.0
_ANSWERED_WITHIN_S = 1.5
_UNREACHABLE_S = 20.0
"""How long a node may answer nothing: a switch that restarts, or a storm of calls, is no death."""


class NodeReach:
    """Looks whether nodes answer, at most every few seconds."""

    def __init__(self) -> None:
        self._looked_at = time.monotonic() - _LOOK_EVERY_S
        self._answered_at: dict[str, float] = {}
        self._cut_off: frozenset[str] = frozenset()

    def cut_off(self, nodes: Iterable[Node]) -> frozenset[str]:
        """Return the ids of those of these nodes that have answered nothing for too long.

        One that never answered counts as reached: something between may let nobody look.
        """
        now = time.monotonic()
        if now - self._looked_at < _LOOK_EVERY_S:
            return self._cut_off
        asked = list(nodes)
        answering = {node.name for node in _answering(asked)}
        self._looked_at = time.monotonic()
        self._answered_at |= dict.fromkeys(answering, now)
        self._cut_off = frozenset(
            node.name
            for node in asked
            if now - self._answered_at.get(node.name, now) > _UNREACHABLE_S
        )
        return self._cut_off

    def dead_of(self, names: frozenset[str]) -> frozenset[str]:
        """Return those of these nodes that are dead: Ray says so, or they are cut off."""
        nodes = [node for name, node in all_nodes().items() if name in names]
        return frozenset(node.name for node in nodes if not node.is_alive) | self.cut_off(nodes)


def answers(node: Node) -> bool:
    """Return whether a node answers now."""
    return bool(_answering([node]))


def _answering(nodes: Iterable[Node]) -> list[Node]:
    """Return the nodes whose machine takes a connection now, all asked at once."""
    answering, until = [], time.monotonic() + _ANSWERED_WITHIN_S
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
                if asking.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                    answering.append(node)
                selector.unregister(asking)
                asking.close()
        for key in list(selector.get_map().values()):
            key.data[0].close()
    return answering
