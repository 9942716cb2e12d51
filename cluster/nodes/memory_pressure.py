"""Nodes whose memory a neighbour holds: kept free of new calls until there is room again.

Ray knows nothing of memory that others hold: a call that starts while they do is killed again.
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster.machine.container_limits import container_limits
from cluster.nodes.memory_report import MemoryReport, Process
from cluster.nodes.ray_nodes import NODE_ID

if TYPE_CHECKING:
    from ray import ObjectRef

_MARGIN = 1.1
"""Room that has to be there again, in parts of what the killed call held or was given."""
_LEAST_GB = 0.5
_MOST_OF_NODE = 0.5
"""Most room that is waited for, in parts of what the node may hold."""
_FORGOTTEN_S = 600.0
"""After so long without another kill a call is let try, whatever the room."""


def free_gb() -> float:
    """Return the memory that processes of this host or container could still take, in 10^9 B."""
    import psutil

    available: float = psutil.virtual_memory().available
    return min(available, container_limits().free_bytes) / 1e9


@dataclass(kw_only=True)
class _Pressure:
    """What is known of one node."""

    report: MemoryReport
    """Ray's report of the last kill."""
    room_gb: float
    """Memory that has to be free again, beyond what Ray's monitor keeps."""
    since: float
    """When the last kill was reported, by the monotonic clock."""
    measured: "ObjectRef | None" = None
    """A measurement under way."""


class MemoryPressure:
    """The nodes without room, as the executor and its looks at the nodes know them.

    Args:
        node_id: Ray's id of the node of this process.
    """

    def __init__(self, node_id: str) -> None:
        self._here = node_id
        self._nodes: dict[str, _Pressure] = {}
        self._living: frozenset[str] = frozenset({node_id})
        self._lock = threading.Lock()
        self.idle_gb: Mapping[str, float] = {node_id: _used_gb()}
        """Memory in use before any call ran, by node, where it is known, in 10^9 bytes."""

    def note(self, report: MemoryReport, own: Process | None, planned_gb: float) -> None:
        """Take note that a call was killed for what a neighbour holds."""
        held = own.gb if own else 0.0
        room = max(_LEAST_GB, _MARGIN * max(held, planned_gb))
        with self._lock:
            self._nodes[report.node_id] = _Pressure(
                report=report,
                room_gb=min(room, _MOST_OF_NODE * report.threshold_gb),
                since=time.monotonic(),
            )

    @property
    def nodes(self) -> frozenset[str]:
        """The ids of the nodes that have no room."""
        return frozenset(self._nodes)

    @property
    def is_everywhere(self) -> bool:
        """Whether no living node has room."""
        return bool(self._nodes) and self._living <= self._nodes.keys()

    def describe(self) -> str:
        """Say where there is no room, and who held the memory at the last kill."""
        parts = []
        for pressure in list(self._nodes.values()):
            report, strangers = pressure.report, pressure.report.strangers()
            most = f", {strangers[0].gb:g} GB of it by {strangers[0].command}" if strangers else ""
            parts.append(f"{report.node} ({report.used_gb:.1f} GB were in use{most})")
        return f"others hold the memory of {', '.join(parts)}"

    def look(self, living: frozenset[str]) -> None:
        """Measure the nodes without room, and forget those that have some again."""
        self._living = living
        for name, pressure in list(self._nodes.items()):
            free = free_gb() if name == self._here else _measure(name, pressure)
            kept = pressure.report.limit_gb - pressure.report.threshold_gb
            has_room = free is not None and free - kept >= pressure.room_gb
            if has_room or name not in living or time.monotonic() - pressure.since > _FORGOTTEN_S:
                with self._lock:
                    if self._nodes.get(name) is pressure:
                        del self._nodes[name]


def _used_gb() -> float:
    import psutil

    total: float = psutil.virtual_memory().total
    return min(total, container_limits().memory_bytes) / 1e9 - free_gb()


def _measure(node_id: str, pressure: _Pressure) -> float | None:
    """Return the memory that is free on another node once a measurement has come back."""
    import ray

    if pressure.measured is None:
        pressure.measured = (
            ray.remote(free_gb)
            .options(num_cpus=0, max_retries=0, label_selector={NODE_ID: node_id})
            .remote()
        )
    done, _ = ray.wait([pressure.measured], timeout=0)
    if not done:
        return None
    pressure.measured = None
    try:
        free: float = ray.get(done[0])
    except ray.exceptions.RayError:
        return None
    return free
