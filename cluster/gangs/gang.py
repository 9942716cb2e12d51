"""A gang: one call of several ranks, started together, ended together, under Ray Train V2.

`run_gang` is the body of a Ray task that takes no cores. It never tries again: the one retry loop
is the orchestrator's. How each rank ended is read from the board that the ranks sign and from what
Ray reports of their processes; what ranks raise never passes through Ray Train.

The first report of any rank is the call's: the ranks of a call that goes well agree on one answer
before they return, so a rank that returns alone has failed, and the others get a moment to end.
"""

import math
import os
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from cluster.disk.temp_folders import TempFolder
from cluster.executor import Outcome
from cluster.gangs.gang_board import Order
from cluster.gangs.gang_endings import RankDeaths, outcome_of_gang
from cluster.gangs.gang_network import torch_config
from cluster.gangs.gang_placement import bundle, place
from cluster.gangs.gang_rank import run_rank
from cluster.gangs.gang_variables import PLACED_WITHIN_S, RAY_TRAIN_VARIABLES, rank_variables
from cluster.machine.resources import Resources
from cluster.nodes.node_reach import NodeReach
from cluster.nodes.ray_nodes import Preemption

if TYPE_CHECKING:
    from ray.actor import ActorHandle

    from cluster.gangs.gang_spares import Spares
    from cluster.gangs.gang_trainer import GangTrainer

_LOOK_EVERY_S = 0.25
_LOOK_AT_NODES_EVERY_S = 1.0
_ENDING_S = 5.0
"""How long the others may go on after the first report."""
_LEAVING_S = 60.0
"""How long ranks may take to leave after the order, those that are still starting included."""
_HASTY_S = 5.0
"""The same when the node of a rank is dead, or the call was cancelled and did not end in time."""
_COLLECTIVE_S = 900
"""How long one collective operation of a step may take: a batch may take 600 s. Ranks that load and
save wait in process groups of their own; the death of a rank is noticed long before."""


def run_gang(
    board: "ActorHandle",
    ticket: str,
    entry: str,
    payload: str,
    resources: Resources,
    idle_gb: Mapping[str, float],
    avoided: frozenset[str],
    alive: frozenset[str],
    name: str,
    spares: "Spares",
) -> Outcome:
    """Run an entry point on all ranks of a call, and return how the call ended.

    Args:
        board: where the ranks sign in and report.
        ticket: name of the call.
        entry: its entry point.
        payload: what each rank is given.
        resources: what the ranks need.
        idle_gb: memory in use before any call ran, by node, where it is known, in 10^9 bytes.
        avoided: ids of nodes to which no rank is sent.
        alive: names of all gangs and spares of this launch that had not ended.
        name: of this gang on its processes: its ticket, or what its spares are called.
        spares: processes that may become its ranks, in any order; none, or one for each.
    """
    import ray

    os.environ.update(RAY_TRAIN_VARIABLES)
    cancelled = ray.get_runtime_context().is_canceled
    training = _Training(board, ticket, entry, payload, resources, avoided, alive, name, spares)
    training.start()
    preemption, watched = Preemption(), _Watched()
    asked_at = gone_at = math.inf
    while not training.ended.is_set() and time.monotonic() < gone_at:
        with suppress(KeyboardInterrupt):  # how Ray cancels; `cancelled` says it too
            training.ended.wait(_LOOK_EVERY_S)
            snapshot = ray.get(board.look.remote())
            if cancelled():
                training.is_abandoned.set()
                asked_at = min(asked_at, time.monotonic())
            is_overdue = time.monotonic() > asked_at + snapshot.grace_s
            is_cut_off = watched.has_dead(snapshot.node_ids)
            if snapshot.decided_s > _ENDING_S or is_overdue or is_cut_off:
                # Ray Train may wait for ever for ranks on a node that it cannot reach.
                is_hasty = is_cut_off or cancelled()
                leaving_s = _HASTY_S if is_hasty else _LEAVING_S
                gone_at = min(gone_at, time.monotonic() + leaving_s)
                ray.get(board.order.remote(Order.LEAVE))
            elif cancelled() or preemption.affects(snapshot.node_ids):
                ray.get(board.order.remote(Order.STOP))
    snapshot = ray.get(board.look.remote())
    deaths = RankDeaths(
        is_cut_off=watched.is_cut_off, planned_gb=resources.memory_gb, idle_gb=idle_gb
    )
    return outcome_of_gang(ticket, snapshot, training.fault, deaths, is_cancelled=cancelled())


class _Watched:
    """The nodes of the ranks, looked at every few seconds."""

    def __init__(self) -> None:
        self.is_cut_off = False
        self._reach = NodeReach()
        self._look_at = 0.0

    def has_dead(self, node_ids: frozenset[str]) -> bool:
        """Return True once one of these nodes is dead; it stays so."""
        now = time.monotonic()
        if node_ids and now >= self._look_at and not self.is_cut_off:
            self._look_at = now + _LOOK_AT_NODES_EVERY_S
            self.is_cut_off = bool(self._reach.dead_of(node_ids))
        return self.is_cut_off


class _Training(threading.Thread):
    """Ray Train's call, on a thread of its own: on the main thread it would take over SIGINT."""

    def __init__(
        self,
        board: "ActorHandle",
        ticket: str,
        entry: str,
        payload: str,
        resources: Resources,
        avoided: frozenset[str],
        alive: frozenset[str],
        name: str,
        spares: "Spares",
    ) -> None:
        super().__init__(name="ray-train", daemon=True)
        self._ticket = ticket
        self.fault: Exception | None = None
        # Not `join`: in Python 3.11 an interrupt there marks a running thread as ended.
        self.ended = threading.Event()
        self.is_abandoned = threading.Event()
        self._resources = resources
        self._avoided = avoided
        self._alive = alive
        self._name, self._spares = name, spares
        self._config = {
            "board": board,
            "entry": entry,
            "payload": payload,
            "num_ranks": resources.num_ranks,
            "num_nodes": resources.num_nodes,
            "num_gpus": int(resources.num_gpus),
            "backend": _backend(resources),
        }

    def run(self) -> None:
        """Start the ranks and wait for all of them to end."""
        with TempFolder("gang") as folder:
            try:
                self._trainer(str(folder)).fit()
            except Exception as fault:  # Ray Train raises many kinds; `_outcome` tells them apart
                self.fault = fault
            finally:
                self.ended.set()

    def _trainer(self, folder: str) -> "GangTrainer":
        from ray.train import FailureConfig, RunConfig, ScalingConfig
        from ray.train.v2._internal.constants import is_v2_enabled

        from cluster.gangs.gang_trainer import GangTrainer  # imports Ray Train, and torch

        assert is_v2_enabled(), "Ray Train V1 would run this gang"
        selectors = place(
            self._ticket,
            self._resources,
            avoided=self._avoided,
            within_s=PLACED_WITHIN_S,
            is_abandoned=self.is_abandoned.is_set,
        )
        return GangTrainer(
            run_rank,
            spares=self._spares,
            train_loop_config=self._config,
            torch_config=torch_config(
                self._config["board"],
                backend=self._config["backend"],
                timeout_s=_COLLECTIVE_S,
                num_nodes=self._resources.num_nodes,
                gang=(self._ticket, self._alive),
            ),
            scaling_config=ScalingConfig(
                num_workers=self._resources.num_ranks,
                use_gpu=self._resources.num_gpus > 0,
                resources_per_worker=bundle(self._resources),
                placement_strategy="SPREAD",  # over the nodes that the selectors name
                label_selector=selectors,
            ),
            run_config=RunConfig(
                name="gang",
                storage_path=folder,
                failure_config=FailureConfig(
                    max_failures=0, controller_failure_limit=0, max_preemption_failures=0
                ),
                worker_runtime_env={"env_vars": rank_variables(self._resources, self._name)},
            ),
        )


def _backend(resources: Resources) -> str:
    import torch.distributed as dist

    return "nccl" if resources.num_gpus and dist.is_nccl_available() else "gloo"
