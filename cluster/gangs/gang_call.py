"""The executor's side of a gang: starts its driver, and cleans up after a driver that died.

The board belongs to the executor's process, so that it outlives the driver and still knows where
the ranks are. Board, driver and Ray Train's controller run on the executor's own node: when that
node dies, nothing is left to receive the answer anyway.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster.driver_messages import Submit
from cluster.gangs.gang import run_gang
from cluster.gangs.gang_board import GangBoard, GangSnapshot, Order
from cluster.gangs.gang_placement import give_up_place
from cluster.gangs.gang_spares import GangSpares, Spares, kill
from cluster.machine.resources import Resources
from cluster.nodes.ray_nodes import NODE_ID

if TYPE_CHECKING:
    from concurrent.futures import Future

    from ray import ObjectRef
    from ray.actor import ActorHandle

_CLEARED_WITHIN_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Gang:
    """One gang that has not ended."""

    board: "ActorHandle"
    """Where its ranks sign in."""
    name: str
    """Name of the gang in its processes' variables: its ticket, or the name of its spares."""
    spares: Spares
    """Processes that may become its ranks; empty where none stood ready."""
    resources: Resources
    """Resources that all of its ranks take together."""


class GangCalls:
    """The gangs of one executor that have not ended. `imports`: modules that spares import."""

    def __init__(self, imports: Sequence[str] = ()) -> None:
        self._gangs: dict[str, Gang] = {}
        self._spares = GangSpares(imports)

    def __contains__(self, ticket: str) -> bool:
        return ticket in self._gangs

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
        given = self._spares.take(call.resources, self._gangs) or (call.ticket, ())
        self._gangs[call.ticket] = Gang(
            board=board, name=given[0], spares=given[1], resources=call.resources
        )
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
            self._names | frozenset(held),
            *given,
        )

    @property
    def _names(self) -> frozenset[str]:
        """Names in the variables of all gangs and spares that have not ended."""
        return frozenset((*(gang.name for gang in self._gangs.values()), *self._spares.names))

    def give(self, ticket: str, grace_s: float) -> None:
        """Say how long the ranks of a gang that is cancelled next may save their work."""
        if (gang := self._gangs.get(ticket)) is not None:
            gang.board.give.remote(grace_s)

    def expect_again(self, ticket: str, later: Callable[[Callable[[], None]], None]) -> None:
        """Prepare for the next try of a gang that may have to be ended soon.

        Args:
            ticket: of the gang; one that has ended is passed over.
            later: takes what is to be done on the thread that calls this.
        """
        if (gang := self._gangs.get(ticket)) is None:
            return
        resources = gang.resources

        def prepare(future: "Future[GangSnapshot]") -> None:
            with suppress(Exception):  # its board is gone: it has ended
                seats = future.result().seats.values()
                later(lambda: self._spares.prepare(ticket, resources, seats))

        gang.board.look.remote().future().add_done_callback(prepare)

    def drop_spares(self) -> None:
        """End the spares that nobody has needed."""
        self._spares.drop_old()

    def end(self, ticket: str) -> Gang | None:
        """Forget a gang whose driver has ended, in whatever way; return it, to `clear`."""
        return self._gangs.pop(ticket, None)

    def clear(self, ticket: str, gang: Gang) -> None:
        """Free what a gang that has ended may have left reserved. Blocks for seconds at most."""
        import ray

        give_up_place(ticket)
        try:
            _clear(gang.board)
        except ray.exceptions.RayError:
            return  # the board is gone, and ranks that cannot reach it end by themselves
        finally:
            kill(gang.spares)
        ray.kill(gang.board)


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
