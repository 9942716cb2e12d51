"""A gang: one call of several ranks, started together, ended together, under Ray Train V2.

`run_gang` is the body of a Ray task that takes no cores. It never tries again: the one retry loop
is the orchestrator's. How each rank ended is read from the board that the ranks sign and from what
Ray reports of their processes; what ranks raise never passes through Ray Train.

The first report of any rank is the call's: the ranks of a call that goes well agree on one answer
before they return, so a rank that returns alone has failed, and the others get a moment to end.
"""

import math
import os
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster.executor import Ending, Outcome
from cluster.fault_classes import FaultClass
from cluster.gang_board import GangSnapshot, Order
from cluster.gang_network import torch_config
from cluster.gang_placement import NoRoom, bundle, place
from cluster.gang_rank import run_rank
from cluster.gpu_variables import gpu_variables
from cluster.memory_report import judge, parse_memory_report
from cluster.ray_nodes import LivingNodes, Preemption, living_nodes
from cluster.resources import Resources

if TYPE_CHECKING:
    from ray.actor import ActorHandle
    from ray.train.torch import TorchTrainer

_LOOK_EVERY_S = 0.25
_GRACE_S = 10.0
"""How long the ranks of a cancelled call may save what they have before they are ended."""
_ENDING_S = 5.0
"""How long the others may go on after the first report."""
_LEAVING_S = 60.0
"""How long ranks may take to leave after the order, those that are still starting included."""
_CUT_OFF_S = 5.0
"""How long the ranks on living nodes may take to leave when another's node is dead."""
_PLACED_WITHIN_S = 60.0
"""How long a gang may wait for its resources; only other launches can be holding them."""
_COLLECTIVE_S = 900
"""How long one collective operation of a step may take: a batch may take 600 s. Ranks that load and
save wait in process groups of their own; the death of a rank is noticed long before."""

RAY_TRAIN_VARIABLES = {
    "RAY_TRAIN_V2_ENABLED": "1",
    # How often its controller looks after the ranks; a killed one ends the gang at the next look.
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": f"{_PLACED_WITHIN_S:g}",
    "TORCH_PROCESS_GROUP_SHUTDOWN_TIMEOUT_S": "2",
    # Notices of preemption are ours to pass on: asking Ray Train for them is a barrier.
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    # Ranks keep the directory of the call, their streams and their loggers.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",
    "RAY_TRAIN_ENABLE_WORKER_STRUCTURED_LOGGING": "0",
    "RAY_TRAIN_ENABLE_CONTROLLER_STRUCTURED_LOGGING": "0",
    "RAY_TRAIN_METRICS_ENABLED": "0",
}
_RANK_VARIABLES = {
    "TORCH_NCCL_ASYNC_ERROR_HANDLING": "1",
    # The flight recorder: the last collective operations of each rank, written when one hangs.
    "TORCH_FR_BUFFER_SIZE": "2000",
    "TORCH_NCCL_DUMP_ON_TIMEOUT": "1",
}


def run_gang(
    board: "ActorHandle",
    ticket: str,
    entry: str,
    payload: str,
    resources: Resources,
    idle_gb: Mapping[str, float],
) -> Outcome:
    """Run an entry point on all ranks of a call, and return how the call ended.

    Args:
        board: where the ranks sign in and report.
        ticket: name of the call.
        entry: its entry point.
        payload: what each rank is given.
        resources: what the ranks need.
        idle_gb: memory in use before any call ran, by node, where it is known, in 10^9 bytes.
    """
    import ray

    os.environ.update(RAY_TRAIN_VARIABLES)
    cancelled = ray.get_runtime_context().is_canceled
    training = _Training(board, ticket, entry, payload, resources)
    training.start()
    preemption, nodes = Preemption(), LivingNodes()
    overdue_at = gone_at = math.inf
    while not training.ended.is_set() and time.monotonic() < gone_at:
        with suppress(KeyboardInterrupt):  # how Ray cancels; `cancelled` says it too
            training.ended.wait(_LOOK_EVERY_S)
            snapshot = ray.get(board.look.remote())
            if cancelled():
                training.is_abandoned.set()
                overdue_at = min(overdue_at, time.monotonic() + _GRACE_S)
            is_cut_off = bool(nodes.dead_of(snapshot.node_ids))
            if snapshot.decided_s > _ENDING_S or time.monotonic() > overdue_at or is_cut_off:
                # Ray Train may wait for ever for ranks on a node that it cannot reach.
                leaving_s = _CUT_OFF_S if is_cut_off else _LEAVING_S
                gone_at = min(gone_at, time.monotonic() + leaving_s)
                ray.get(board.order.remote(Order.LEAVE))
            elif cancelled() or preemption.affects(snapshot.node_ids):
                ray.get(board.order.remote(Order.STOP))
    snapshot = ray.get(board.look.remote())
    kills = _Kills(planned_gb=resources.memory_gb, idle_gb=idle_gb)
    return _outcome(ticket, snapshot, training.fault, kills, is_cancelled=cancelled())


class _Training(threading.Thread):
    """Ray Train's call, on a thread of its own: on the main thread it would take over SIGINT."""

    def __init__(
        self, board: "ActorHandle", ticket: str, entry: str, payload: str, resources: Resources
    ) -> None:
        super().__init__(name="ray-train", daemon=True)
        self._ticket = ticket
        self.fault: Exception | None = None
        # Not `join`: in Python 3.11 an interrupt there marks a running thread as ended.
        self.ended = threading.Event()
        self.is_abandoned = threading.Event()
        self._resources = resources
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
        with tempfile.TemporaryDirectory(prefix="deltascale-gang-") as folder:
            try:
                self._trainer(folder).fit()
            except Exception as fault:  # Ray Train raises many kinds; `_outcome` tells them apart
                self.fault = fault
            finally:
                self.ended.set()

    def _trainer(self, folder: str) -> "TorchTrainer":
        from ray.train import FailureConfig, RunConfig, ScalingConfig
        from ray.train.torch import TorchTrainer
        from ray.train.v2._internal.constants import is_v2_enabled

        assert is_v2_enabled(), "Ray Train V1 would run this gang"
        selectors = place(
            self._ticket,
            self._resources,
            within_s=_PLACED_WITHIN_S,
            is_abandoned=self.is_abandoned.is_set,
        )
        return TorchTrainer(
            run_rank,
            train_loop_config=self._config,
            torch_config=torch_config(
                self._config["board"], backend=self._config["backend"], timeout_s=_COLLECTIVE_S
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
                worker_runtime_env={"env_vars": _rank_variables(self._resources)},
            ),
        )


def _backend(resources: Resources) -> str:
    import torch.distributed as dist

    return "nccl" if resources.num_gpus and dist.is_nccl_available() else "gloo"


def _rank_variables(resources: Resources) -> dict[str, str]:
    return _RANK_VARIABLES | (
        gpu_variables() if resources.num_gpus else {"CUDA_VISIBLE_DEVICES": ""}
    )


def _outcome(
    ticket: str,
    snapshot: GangSnapshot,
    fault: Exception | None,
    kills: "_Kills",
    *,
    is_cancelled: bool,
) -> Outcome:
    """Return how the call ended; a rank that died without a report outweighs what others report."""
    if not is_cancelled and not snapshot.seats and _is_no_room(fault):
        return Outcome(ticket=ticket, ending=Ending.NO_ROOM, error=_one_line(fault))
    causes = _causes(fault)
    dead = [rank for rank in snapshot.silent if rank in causes] or snapshot.silent
    if is_cancelled and not snapshot.reports:
        error = f"it did not stop within {_GRACE_S:g} s"
        return Outcome(ticket=ticket, ending=Ending.CANCELLED, error=error, node=snapshot.nodes)
    if dead or not snapshot.reports:
        return _lost(ticket, snapshot, dead, causes, fault, kills)
    first = snapshot.reports[0]
    return Outcome(
        ticket=ticket,
        ending=Ending.RETURNED if first.error is None else Ending.RAISED,
        answer=first.answer,
        error=None if first.error is None else f"rank {first.rank}: {first.error}",
        node=snapshot.nodes,
    )


def _is_no_room(fault: Exception | None) -> bool:
    from ray.train import ControllerError
    from ray.train.v2._internal.exceptions import WorkerGroupStartupTimeoutError

    cause = fault.controller_failure if isinstance(fault, ControllerError) else fault
    return isinstance(cause, NoRoom | WorkerGroupStartupTimeoutError)


def _lost(
    ticket: str,
    snapshot: GangSnapshot,
    dead: list[int],
    causes: Mapping[int, Exception],
    fault: Exception | None,
    kills: "_Kills",
) -> Outcome:
    import ray

    errors = [*causes.values(), *([fault] if fault else [])]
    deaths = [
        f"{snapshot.seats[rank].describe()} died: {_one_line(causes.get(rank, fault))}"
        for rank in dead
    ]
    fault_class = FaultClass.LOST_PROCESS
    if snapshot.node_ids - {node.name for node in living_nodes()}:
        fault_class = FaultClass.LOST_NODE
    for cause in errors:
        if isinstance(cause, ray.exceptions.OutOfMemoryError):
            fault_class = kills.fault_class(str(cause), snapshot)
    return Outcome(
        ticket=ticket,
        ending=Ending.OUT_OF_MEMORY if fault_class is FaultClass.OUT_OF_MEMORY else Ending.LOST,
        error="; ".join(deaths) or f"the ranks did not start: {_one_line(fault)}",
        node=snapshot.seats[dead[0]].node if dead else None,
        fault_class=fault_class,
    )


@dataclass(frozen=True, kw_only=True)
class _Kills:
    """Judges kills of ranks by Ray's memory monitor."""

    planned_gb: float
    """Memory that a rank was given, in 10^9 bytes; 0 = not accounted for."""
    idle_gb: Mapping[str, float]
    """Memory in use before any call ran, by node, where it is known, in 10^9 bytes."""

    def fault_class(self, text: str, snapshot: GangSnapshot) -> FaultClass:
        """Tell whose fault it is that Ray's monitor killed a rank, from its report."""
        report = parse_memory_report(text)
        if report is None:
            return FaultClass.OUT_OF_MEMORY
        pids = {seat.pid for seat in snapshot.seats.values()}
        killed = [process for process in report.killed if process.pid in pids]
        return judge(
            report,
            max(killed, key=lambda process: process.gb, default=None),
            planned_gb=self.planned_gb,
            idle_gb=self.idle_gb.get(report.node_id),
        )


def _causes(fault: Exception | None) -> dict[int, Exception]:
    """Return what Ray reports of each rank whose process Ray Train found dead."""
    from ray.train import WorkerGroupError
    from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError

    if not isinstance(fault, WorkerGroupError):
        return {}
    return {
        rank: failure.health_check_failure
        for rank, failure in fault.worker_failures.items()
        if isinstance(failure, WorkerHealthCheckFailedError)
    }


def _one_line(fault: Exception | None) -> str:
    """Return a fault of Ray's on one line, without Ray's guesses at common causes."""
    if fault is None:
        return "no cause is known"
    return " ".join(str(fault).partition("Some common causes")[0].split())
