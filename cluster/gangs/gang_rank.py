"""One rank of a gang: checks its surroundings, calls the entry point, and listens to orders.

A rank runs inside a worker of Ray Train, which has set up torch's process group and its variables.
No exception leaves it: how a rank ended is what it reported on the board.
"""

import os
import threading
import time
from typing import TYPE_CHECKING, Any

from cluster.executor import Surroundings, load_entry
from cluster.gangs.gang_board import Order, RankReport, Seat
from cluster.machine.left_over_variables import forget_other_launchers
from cluster.machine.working_folder import stand_in_a_folder

if TYPE_CHECKING:
    from ray.actor import ActorHandle

_BEAT_EVERY_S = 0.25
_OTHERS_S = 120.0
"""How long all ranks may take to sign in once one has."""


def run_rank(config: dict[str, Any]) -> None:
    """Call the entry point on this rank; `config` is what the driver gave to all ranks."""
    import ray
    import ray.train

    forget_other_launchers()
    board = config["board"]
    context = ray.train.get_context()
    rank = context.get_world_rank()
    seat = Seat(
        rank=rank,
        node=ray.util.get_node_ip_address(),
        node_id=ray.get_runtime_context().get_node_id(),
        pid=os.getpid(),
    )
    ray.get(board.sign_in.remote(seat))
    stop = threading.Event()
    threading.Thread(target=_listen, args=(board, rank, stop), daemon=True).start()
    try:
        os.environ.update(ray.get(board.secrets.remote()))
        seats = _all_seats(board)
        _assert_planned(config, seats, seat)
        surroundings = Surroundings(
            stop_requested=stop.is_set,
            node=seat.node,
            rank=rank,
            num_ranks=context.get_world_size(),
            local_rank=context.get_local_rank(),
            is_own_process=True,
        )
        stand_in_a_folder()
        answer = load_entry(config["entry"])(config["payload"], surroundings)
        report = RankReport(rank=rank, answer=answer)
    except Exception as fault:  # the boundary: whatever a call raises is its outcome
        report = RankReport(rank=rank, error=f"{type(fault).__name__}: {fault}")
    ray.get(board.report.remote(report))


def _listen(board: "ActorHandle", rank: int, stop: threading.Event) -> None:
    """Beat, and follow orders; a rank whose board is gone has lost its launch, and ends."""
    import ray

    while True:
        try:
            order = ray.get(board.beat.remote(rank))
        except ray.exceptions.RayError:
            order = Order.LEAVE
        if order is Order.LEAVE:
            os._exit(1)
        if order is Order.STOP:
            stop.set()
        time.sleep(_BEAT_EVERY_S)


def _all_seats(board: "ActorHandle") -> dict[int, Seat]:
    import ray

    until = time.monotonic() + _OTHERS_S
    while True:
        seats: dict[int, Seat] | None = ray.get(board.seats.remote())
        if seats is not None:
            return seats
        if time.monotonic() > until:
            raise TimeoutError(f"not all ranks signed in within {_OTHERS_S:g} s")
        time.sleep(_BEAT_EVERY_S / 10)


def _assert_planned(config: dict[str, Any], seats: dict[int, Seat], mine: Seat) -> None:
    """Assert that this rank runs as planned: libraries and launchers fall back silently."""
    import torch.distributed as dist

    planned = config["num_ranks"]
    assert dist.get_world_size() == len(seats) == planned, (
        f"{dist.get_world_size()} ranks in the process group, {len(seats)} signed in, "
        f"{planned} planned"
    )
    assert dist.get_rank() == mine.rank == int(os.environ["RANK"]), f"rank {mine.rank}?"
    assert dist.get_backend() == config["backend"], f"backend {dist.get_backend()}"
    here = [seat for seat in seats.values() if seat.node_id == mine.node_id]
    nodes = {seat.node_id for seat in seats.values()}
    assert len(nodes) == config["num_nodes"], f"{len(nodes)} nodes, {config['num_nodes']} planned"
    assert len(here) * config["num_nodes"] == planned, f"{len(here)} of {planned} ranks on one node"
    visible = [gpu for gpu in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if gpu]
    assert len(visible) == len(here) * config["num_gpus"], (
        f"CUDA_VISIBLE_DEVICES={','.join(visible)!r} for {len(here)} ranks of "
        f"{config['num_gpus']} GPUs each on {mine.node}"
    )
