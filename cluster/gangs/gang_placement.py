"""Where the ranks of a gang go: all on one node, or evenly over as many as it asks for.

Resources are reserved for a moment to find nodes that have them, and the ranks are then pinned to
those nodes by label: Ray Train itself can only pack, or spread as far as possible, and what it
waits for stays reserved when its driver is killed.
"""

import time
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import TYPE_CHECKING

from cluster.errors import SurroundingsError
from cluster.machine.resources import Resources
from cluster.nodes.ray_nodes import NODE_ID, living_nodes

if TYPE_CHECKING:
    from ray.util.placement_group import PlacementGroup

_LOOK_EVERY_S = 0.25


class NoRoom(SurroundingsError):
    """No nodes got free in time, or the call was cancelled meanwhile."""


def bundle(resources: Resources) -> dict[str, float]:
    """Return what one rank takes of its node, under Ray's names."""
    taken: dict[str, float] = {"CPU": resources.num_cpus}
    if resources.num_gpus:
        taken["GPU"] = resources.num_gpus
    if resources.memory_gb:
        taken["memory"] = int(resources.memory_gb * 1e9)
    return taken


def selector_of(resources: Resources, avoided: Collection[str] = ()) -> dict[str, str] | None:
    """Return a label selector that excludes nodes; None when there are none to exclude.

    The selector excludes, so that a waiting call may still go to a node that joins meanwhile.

    Args:
        resources: what is needed; nodes whose GPUs are known to be too small are excluded.
        avoided: ids of further nodes to exclude.
    """
    excluded = set(avoided)
    if resources.num_gpus:
        excluded |= {
            node.name
            for node in living_nodes()
            if 0 < node.offers.gpu_memory_gb < resources.gpu_memory_gb
        }
    return {NODE_ID: f"!in({','.join(sorted(excluded))})"} if excluded else None


def place(
    ticket: str,
    resources: Resources,
    *,
    avoided: Collection[str],
    within_s: float,
    is_abandoned: Callable[[], bool],
) -> list[dict[str, str]]:
    """Return a label selector for each rank. Raises NoRoom when no nodes got free in time.

    Args:
        ticket: name of the call.
        resources: what all ranks need together.
        avoided: ids of nodes to which no rank is sent.
        within_s: how long nodes may take to get free.
        is_abandoned: returns True once nobody wants the place any more.
    """
    on_each, rest = divmod(resources.num_ranks, resources.num_nodes)
    assert rest == 0, f"{resources} does not spread evenly"
    names = _free_nodes(ticket, resources, avoided, within_s, is_abandoned)
    return [{NODE_ID: name} for name in names for _ in range(on_each)]


def give_up_place(ticket: str) -> None:
    """Free what a driver that died while it looked for nodes left reserved."""
    from ray.util.placement_group import get_placement_group, remove_placement_group

    with suppress(ValueError):  # there is none, as nearly always
        remove_placement_group(get_placement_group(_name(ticket)))


def _free_nodes(
    ticket: str,
    resources: Resources,
    avoided: Collection[str],
    within_s: float,
    is_abandoned: Callable[[], bool],
) -> list[str]:
    """Return the ids of nodes on which Ray could reserve a share each, just now."""
    from ray.util.placement_group import (
        placement_group,
        placement_group_table,
        remove_placement_group,
    )

    shares = [bundle(resources.on_each_node)] * resources.num_nodes
    selector = selector_of(resources, avoided)
    group = placement_group(
        shares,
        strategy="STRICT_SPREAD",
        name=_name(ticket),
        bundle_label_selector=None if selector is None else [selector] * len(shares),
    )
    try:
        _wait_for(group, resources, time.monotonic() + within_s, is_abandoned)
        return sorted(placement_group_table(group)["bundles_to_node_id"].values())
    finally:
        remove_placement_group(group)


def _wait_for(
    group: "PlacementGroup", resources: Resources, until: float, is_abandoned: Callable[[], bool]
) -> None:
    while not group.wait(_LOOK_EVERY_S):
        if is_abandoned():
            raise NoRoom("cancelled before its resources were free")
        if time.monotonic() > until:
            on_each = resources.on_each_node.describe()
            raise NoRoom(f"no room for {resources.describe()} just now: {on_each} on each node")


def _name(ticket: str) -> str:
    return f"nodes of {ticket}"
