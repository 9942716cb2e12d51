"""`GangSpares`: processes that stand ready for the next try of gangs whose end is near.

A gang that hangs is killed at a moment that is known before, and what its next try needs most is
time to import. Its spares hold memory, about as much as ranks without a model, no resources of
Ray's, and no GPU; they are kept for a minute after they were asked for last.
"""

import os
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster.gangs.gang_board import Seat
from cluster.gangs.gang_variables import RAY_TRAIN_VARIABLES, rank_variables
from cluster.gangs.spare_rank import SpareRank
from cluster.machine.resources import Resources
from cluster.nodes.ray_nodes import NODE_ID

if TYPE_CHECKING:
    from ray.actor import ActorHandle

Spares = Sequence[tuple[str, "ActorHandle"]]
"""Actors of `SpareRank`, each with Ray's id of its node."""
KEPT_S = 60.0
"""How long spares are kept after they were asked for last."""


@dataclass(kw_only=True)
class _Spares:
    resources: Resources
    actors: "Spares"
    until: float


class GangSpares:
    """The spares of the gangs of one executor. `imports`: modules that they import."""

    def __init__(self, imports: Sequence[str]) -> None:
        self._imports = imports
        self._spares: dict[str, _Spares] = {}
        """Name of the gang that the next one is called by, on its processes -> its spares."""

    @property
    def names(self) -> Collection[str]:
        """Names of gangs that the processes of spares carry in their variables."""
        return self._spares.keys()

    def prepare(self, ticket: str, resources: Resources, seats: Iterable[Seat]) -> None:
        """Have a spare beside each rank of a gang; where there are any, keep them for longer."""
        import ray

        name, until = f"{ticket}+", time.monotonic() + KEPT_S
        if name in self._spares:
            self._spares[name].until = until
        elif not resources.num_gpus:  # Ray gives a rank its GPUs as it starts
            threads = f"{max(1, int(resources.num_cpus))}"
            variables = {
                "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", threads),  # as Ray sets it
                **RAY_TRAIN_VARIABLES,
                **rank_variables(resources, name),
            }
            shared = {"num_cpus": 0, "max_restarts": 0, "runtime_env": {"env_vars": variables}}
            actors = []
            for node in (seat.node_id for seat in seats):
                kind = ray.remote(SpareRank).options(**shared, label_selector={NODE_ID: node})
                actors.append((node, kind.remote(self._imports)))
            self._spares[name] = _Spares(resources=resources, actors=actors, until=until)

    def take(self, resources: Resources, running: Collection[str]) -> tuple[str, Spares] | None:
        """Give away the spares of a gang that has ended and needed the same; None: there are none.

        Args:
            resources: what a gang needs that is to start.
            running: tickets of the gangs that have not ended.
        """
        for name, spares in self._spares.items():
            if name.removesuffix("+") not in running and spares.resources == resources:
                del self._spares[name]
                return name, spares.actors
        return None

    def drop_old(self) -> None:
        """End the spares that were asked for too long ago."""
        for name, spares in list(self._spares.items()):
            if time.monotonic() > spares.until:
                del self._spares[name]
                kill(spares.actors)


def kill(spares: Spares) -> None:
    """End the processes of spares, whatever has become of them."""
    import ray

    for _, actor in spares:
        ray.kill(actor)
