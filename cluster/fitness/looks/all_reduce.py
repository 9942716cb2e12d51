"""Adds up a tensor over ranks, as training does: with NCCL on GPUs, else with gloo."""

import os
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from cluster.fitness.looking import look_in_process
from cluster.gangs.gang_network import interface_of, interface_variables

_RANK = "cluster.fitness.looks.all_reduce:look_rank"
_ELEMENTS = 1 << 20
"""Of four bytes: 4 MiB."""


def look(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Run some of the ranks here, each in a process of its own.

    Args:
        asked: `first`: number of the first of these ranks, `here`: how many, `world`: of how many
            in all; `address`: of this machine; `head`, `port`: where rank 0 is; `num_nodes`;
            `backend`: `nccl` or `gloo`; `limit_s`.

    Returns:
        `ranks`: what each saw: `seconds`, `interface`; or `fault`.
    """
    ranks = [{**asked, "rank": asked["first"] + n, "device": n} for n in range(asked["here"])]
    with ThreadPoolExecutor(len(ranks)) as pool:
        answers = pool.map(lambda one: look_in_process(_RANK, one, asked["limit_s"]), ranks)
        return {"ranks": [dict(answer.value or {"fault": answer.fault}) for answer in answers]}


def look_rank(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Be one rank."""
    interface = interface_of(asked["address"])
    if interface is not None:
        for name, value in interface_variables(interface, asked["num_nodes"]).items():
            os.environ.setdefault(name, value)
    import torch
    import torch.distributed as dist
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    limit = timedelta(seconds=asked["limit_s"])
    is_head = asked["rank"] == 0
    store = TCPStore(asked["head"], asked["port"], asked["world"], is_head, timeout=limit)
    device = torch.device("cpu")
    if asked["backend"] == "nccl":
        device = torch.device("cuda", asked["device"])
        torch.cuda.set_device(device)
    dist.init_process_group(
        asked["backend"], store=store, rank=asked["rank"], world_size=asked["world"], timeout=limit
    )
    tensor = torch.full((_ELEMENTS,), float(asked["rank"] + 1), device=device)
    dist.all_reduce(tensor)
    wanted = asked["world"] * (asked["world"] + 1) / 2
    assert float(tensor.max()) == float(tensor.min()) == wanted, "the sum is wrong"
    dist.barrier()
    begun = time.monotonic()
    dist.all_reduce(tensor)
    float(tensor[0])  # waits for the device
    seconds = time.monotonic() - begun
    dist.barrier()
    return {"seconds": seconds, "interface": os.environ.get("GLOO_SOCKET_IFNAME") or interface}
