"""The executor's side of a gang: starts its driver, and cleans up after a driver that died.

The board belongs to the executor's process, so that it outlives the driver and still knows where
the ranks are. Board, driver and Ray Train's controller run on the executor's own node: when that
node dies, nothing is left to receive the answer anyway.
"""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from cluster.driver_messages import Submit
from cluster.gangs.gang import run_gang
from cluster.gangs.gang_board import GangBoard, Order
from cluster.gangs.gang_placement import give_up_place
from cluster.nodes.ray_nodes import NODE_ID

if TYPE_CHECKING:
    from ray import ObjectRef
    from ray.actor import ActorHandle

_CLEARED_WITHIN_S = 10.0


class GangCalls:
    """The gangs of one executor that have not ended."""

    def __init__(self) -> None:
        self._boards: dict[str, ActorHandle] = {}

    def __contains__(self, ticket: str) -> bool:
        return ticket in self._boards

    def submit(
        self,
        call: Submit,
        idle_gb: Mapping[str, float],
        avoided: Collection[str],
        held: Collection[str] = (),
    ) -> "ObjectRef":
        """Start the driver of a gang; return the Ray reference to its Outcome.

        Args:
            call: what the ranks are to call.
            idle_gb: memory in use before any call ran, by node, where it is known, in 10^9 bytes.
            avoided: ids of nodes to which no rank is sent.
            held: tickets of calls that were submitted before and start later: their ranks are not
                what an earlier gang has left.
        """
        import ray

        here = {NODE_ID: ray.get_runtime_context().get_node_id()}
        board = (
            ray.remote(GangBoard)
            .options(num_cpus=0, max_restarts=0, label_selector=here)
            .remote(call.resources.num_ranks)
        )
        # A method's argument goes to the board alone; one at its creation, to the cluster's head.
        board.lend.remote(dict(call.secrets))
        self._boards[call.ticket] = board
        driver = ray.remote(run_gang).options(
            num_cpus=0, max_retries=0, name=call.ticket, label_selector=here
        )
        return driver.remote(
            board,
            call.ticket,
            call.entry,
            call.payload,
            call.resources,
            dict(idle_gb),
            frozenset(avoided),
            call.grace_s,
            frozenset(self._boards) | frozenset(held),
        )

    def end(self, ticket: str) -> "ActorHandle | None":
        """Forget a gang whose driver has ended, in whatever way; return its board, to `clear`."""
        return self._boards.pop(ticket, None)

    def clear(self, ticket: str, board: "ActorHandle") -> None:
        """Free what a gang that has ended may have left reserved. Blocks for seconds at most."""
        import ray

        give_up_place(ticket)
        try:
            _clear(board)
        except ray.exceptions.RayError:
            return  # the board is gone, and ranks that cannot reach it end by themselves
        ray.kill(board)


def _clear(board: "ActorHandle") -> None:
    """Free the resources of ranks that have no driver any more.

    Ray Train's own cleaner of placement groups needs a dashboard, and our own Ray runs none.
    """
    import ray
    from ray.util.placement_group import PlacementGroup, remove_placement_group

    ray.get(board.order.remote(Order.LEAVE), timeout=_CLEARED_WITHIN_S)
    snapshot = ray.get(board.look.remote(), timeout=_CLEARED_WITHIN_S)
    for group in snapshot.places:
        remove_placement_group(PlacementGroup(ray.PlacementGroupID(bytes.fromhex(group))))
