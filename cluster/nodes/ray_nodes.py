"""The nodes of a Ray: what each offers, which have died, which are about to be taken away."""

import math
import re
import threading
import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cluster.machine.accelerators import gpu_memory_gb
from cluster.machine.resources import Resources

if TYPE_CHECKING:
    from ray._private.state import GlobalState

NODE_ID = "ray.io/node-id"
"""Ray's label that holds the id of a node, for selectors."""
_ACCELERATOR = "ray.io/accelerator-type"
GPU_MEMORY = "gpu_memory_gb"
"""Label or resource that a node may be started with: memory of each of its GPUs, in GB."""
GPU_PRODUCT = "gpu_product"
"""Label that a node may be started with: the name of the product of its GPUs, `A100-80GB`."""
_LOOK_EVERY_S = 5.0
_TOLD_WITHIN_S = 2.5
"""Ray's processes tell of tasks once a second."""
_BROKEN = re.compile(r"requested to be destroyed when it is returned\. RPC error: (.+)")
"""How Ray 2.60 writes down that it ends a process to which the owner of its task lost the line."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """One node."""

    name: str
    """Ray's id of the node, unique where addresses are not."""
    offers: Resources
    """All that calls may use of the node."""
    address: str
    """Its address."""
    host: str
    """The name of its machine."""
    port: int
    """The port at which its raylet listens."""
    is_alive: bool
    """Whether Ray takes it for alive."""
    labels: Mapping[str, str]
    """What it was labelled with."""


def is_named(node: Node, names: Collection[str]) -> bool:
    """Tell whether a node's id or its address is among some names."""
    return node.name in names or node.address in names


def ids_of(names: Collection[str]) -> frozenset[str]:
    """Return the ids of the living nodes that are named by id or by address."""
    if not names:
        return frozenset()
    return frozenset(node.name for node in living_nodes() if is_named(node, names))


def all_nodes() -> dict[str, Node]:
    """Return every node that the Ray of this process has had, living or dead, by its id."""
    import ray

    return {node["NodeID"]: _node(node) for node in ray.nodes()}


def living_nodes() -> list[Node]:
    """List every living node of the Ray that this process is connected to."""
    return [node for node in all_nodes().values() if node.is_alive]


def free_on(nodes: Iterable[Node]) -> list[Resources]:
    """Return what calls may still use of each of these nodes, as known a moment ago."""
    left = _state().available_resources_per_node()
    return [_offer_of(left.get(node.name, {}), node.labels) for node in nodes]


def nodes_of_tasks() -> dict[str, str]:
    """Return the node that each task of this Ray was sent to, both by their ids.

    The sender writes it down before it hears of the task again, so that it is known of tasks on
    nodes that can no longer be reached, too. Ray drops what is old where there are very many tasks.
    """
    return {
        event.task_id.hex(): event.state_updates.node_id.hex()
        for event in _state()._get_all_task_events()
        if event.state_updates.node_id
    }


def node_of_task(task: str) -> str | None:
    """Return the node that a task was sent to; None when Ray does not know it.

    Of one that ended at once Ray knows a second later: its processes tell of tasks that often.
    """
    until = time.monotonic() + _TOLD_WITHIN_S
    while (node := nodes_of_tasks().get(task)) is None and time.monotonic() < until:
        time.sleep(0.1)
    return node


def broken_connection_of(task: str) -> str | None:
    """Say how the connection to the process of a task broke, whereupon Ray ended the process.

    None where the process ended by itself: its own node notes that before anybody else hears of it
    (killed four times on another host of a loaded machine: noted so each time).
    """
    from ray.core.generated.gcs_pb2 import WorkerTableData

    at = {
        event.state_updates.worker_id
        for event in _state()._get_all_task_events()
        if event.task_id.hex() == task
    }
    for row in _state()._connect_and_get_accessor().get_worker_table():
        worker = WorkerTableData.FromString(row)
        if not worker.is_alive and worker.worker_address.worker_id in at:
            broken = _BROKEN.search(worker.exit_detail)
            return broken[1] if broken else None
    return None


def _node(node: Mapping[str, Any]) -> Node:
    return Node(
        name=node["NodeID"],
        offers=_offer_of(node["Resources"], node["Labels"]),
        address=node["NodeManagerAddress"],
        host=node["NodeManagerHostname"],
        port=node["NodeManagerPort"],
        is_alive=node["Alive"],
        labels=node["Labels"],
    )


def _offer_of(resources: Mapping[str, float], labels: Mapping[str, str]) -> Resources:
    return Resources(
        num_cpus=resources.get("CPU", 0),
        num_gpus=resources.get("GPU", 0),
        memory_gb=resources.get("memory", 0) / 1e9,
        gpu_memory_gb=_gpu_memory_gb(resources, labels) if resources.get("GPU") else 0,
        gpu_name=_gpu_name(labels) if resources.get("GPU") else "",
    )


def _gpu_name(labels: Mapping[str, str]) -> str:
    return labels.get(GPU_PRODUCT) or labels.get(_ACCELERATOR, "")


def _gpu_memory_gb(resources: Mapping[str, float], labels: Mapping[str, str]) -> float:
    """Return what a node's label says, or else its product; a label that is no number is none."""
    labelled = labels.get(GPU_MEMORY) or resources.get(GPU_MEMORY)
    with suppress(ValueError):
        if labelled and 0 < float(labelled) < math.inf:
            return float(labelled)
    return gpu_memory_gb(_gpu_name(labels))


class Preemption:
    """Looks up, every few seconds, whether Ray has notice that a node will be taken away.

    Who asks never waits: while the head cannot be reached, Ray answers nothing for a minute, and a
    job asks between two steps. The one public function is Ray Train's, which only its workers may
    call, all of them together; this class reads what that function reads (Ray 2.60).
    """

    def __init__(self) -> None:
        self._looked_at = -_LOOK_EVERY_S
        self._draining: frozenset[str] = frozenset()
        self._looking: threading.Thread | None = None

    def affects(self, names: frozenset[str]) -> bool:
        """Return True once one of these nodes is known to be taken away soon."""
        now = time.monotonic()
        is_looking = self._looking is not None and self._looking.is_alive()
        if now - self._looked_at >= _LOOK_EVERY_S and not is_looking:
            self._looked_at = now
            self._looking = threading.Thread(target=self._look, name="preemption", daemon=True)
            self._looking.start()
        return not self._draining.isdisjoint(names)

    def _look(self) -> None:
        with suppress(Exception):  # Ray raises many kinds; the next look may go well
            self._draining = frozenset(_state().get_draining_nodes())


def _state() -> "GlobalState":
    from ray._private.state import state

    return state
