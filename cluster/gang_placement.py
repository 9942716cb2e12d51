"""Where the ranks of a gang go: all on one node, or evenly over as many as it asks for.

Ray Train itself knows only to pack or to spread as far as it can; nodes are pinned by label.
"""

from dataclasses import dataclass

from cluster.errors import SurroundingsError
from cluster.ray_nodes import NODE_ID, living_nodes
from cluster.resources import Resources


@dataclass(frozen=True, kw_only=True)
class Placement:
    """What Ray Train is told."""

    strategy: str
    """Of its placement group."""
    selectors: list[dict[str, str]] | None
    """Label selector of each rank; None where any node will do."""


def bundle(resources: Resources) -> dict[str, float]:
    """What one rank takes of its node, in Ray's words."""
    taken: dict[str, float] = {"CPU": resources.num_cpus}
    if resources.num_gpus:
        taken["GPU"] = resources.num_gpus
    if resources.memory_gb:
        taken["memory"] = int(resources.memory_gb * 1e9)
    return taken


def selector_of(resources: Resources) -> dict[str, str] | None:
    """A label selector for the nodes whose GPUs are large enough; None where all are."""
    nodes = living_nodes()
    asked = resources.gpu_memory_gb if resources.num_gpus else 0
    # What is not known is not refused.
    fit = [n for n in nodes if not n.offers.gpu_memory_gb or asked <= n.offers.gpu_memory_gb]
    if len(fit) == len(nodes):
        return None
    if not fit:
        raise SurroundingsError(f"no node has GPUs of {asked:g} GB any more")
    return {NODE_ID: f"in({','.join(node.name for node in fit)})"}


def place(ticket: str, resources: Resources, *, within_s: float) -> Placement:
    """Find nodes. Raises SurroundingsError when none got free in time."""
    selector = selector_of(resources)
    if resources.num_nodes == 1:
        selectors = None if selector is None else [selector] * resources.num_ranks
        return Placement(strategy="STRICT_PACK", selectors=selectors)
    names = _free_nodes(ticket, resources, selector, within_s)
    on_each, rest = divmod(resources.num_ranks, resources.num_nodes)
    assert rest == 0, f"{resources} does not spread evenly"
    return Placement(
        strategy="SPREAD", selectors=[{NODE_ID: name} for name in names for _ in range(on_each)]
    )


def _free_nodes(
    ticket: str, resources: Resources, selector: dict[str, str] | None, within_s: float
) -> list[str]:
    """Names of nodes on which Ray could reserve a share each, just now."""
    from ray.util.placement_group import (
        placement_group,
        placement_group_table,
        remove_placement_group,
    )

    shares = [bundle(resources.on_each_node)] * resources.num_nodes
    group = placement_group(
        shares,
        strategy="STRICT_SPREAD",
        name=f"nodes of {ticket}",
        bundle_label_selector=None if selector is None else [selector] * len(shares),
    )
    try:
        if not group.wait(within_s):
            raise SurroundingsError(f"no place for {resources.described()} within {within_s:g} s")
        return sorted(placement_group_table(group)["bundles_to_node_id"].values())
    finally:
        remove_placement_group(group)
