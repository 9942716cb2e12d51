"""Prepares every rank of a gang for torch's process group: the network interface it uses.

Without it, gloo asks what the machine's own name resolves to, which on many is the loopback device,
and NCCL takes the first interface that is up, which on many is a bridge of containers: then ranks
of several nodes never find each other. Ray knows the address that other nodes see.
"""

import os
from typing import TYPE_CHECKING

from cluster.gangs.gang_board import Barred
from cluster.orphans.launch_label import VARIABLE, LaunchLabel
from cluster.orphans.left_processes import end_left_by_gangs

if TYPE_CHECKING:
    from ray.actor import ActorHandle
    from ray.train._internal.base_worker_group import BaseWorkerGroup
    from ray.train.torch import TorchConfig

_GLOO, _NCCL = "GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"


def torch_config(
    board: "ActorHandle",
    *,
    backend: str,
    timeout_s: int,
    num_nodes: int,
    gang: tuple[str, frozenset[str]],
) -> "TorchConfig":
    """Return Ray Train's set-up of torch, extended by ours, which runs first on every rank."""
    from ray.train.torch import TorchConfig
    from ray.train.torch.config import _TorchBackend

    class Backend(_TorchBackend):  # type: ignore[misc]
        def on_start(self, worker_group: "BaseWorkerGroup", backend_config: "TorchConfig") -> None:
            worker_group.execute(_prepare, board, num_nodes, *gang)
            super().on_start(worker_group, backend_config)

    class Config(TorchConfig):  # type: ignore[misc]
        @property
        def backend_cls(self) -> type[Backend]:
            return Backend

    return Config(backend=backend, timeout_s=timeout_s)


def _prepare(board: "ActorHandle", num_nodes: int, ticket: str, alive: frozenset[str]) -> None:
    """Prepare this rank: its network interface, and nothing that earlier gangs left beside it.

    Raises:
        RuntimeError: processes of an earlier gang do not end.
    """
    import ray

    interface = interface_of(ray.util.get_node_ip_address())
    if interface is not None:
        for name in (_GLOO, _NCCL):
            if not is_of_this_machine(name, os.environ.get(name, "")):
                del os.environ[name]
        for name, value in interface_variables(interface, num_nodes).items():
            os.environ.setdefault(name, value)
    if (label := LaunchLabel.parse(os.environ.get(VARIABLE, ""))) is not None:
        sweep = end_left_by_gangs(label, ticket, alive)
        if sweep.left:
            here, node_id = ray.util.get_node_ip_address(), ray.get_runtime_context().get_node_id()
            ray.get(board.bar.remote(Barred(here, node_id, sweep.describe())))
            raise RuntimeError(sweep.describe())


def interface_variables(interface: str, num_nodes: int) -> dict[str, str]:
    """Return the variables that have a rank talk through an interface.

    NCCL is told of it where it leaves the node; `=` has it take this name, not all that begin so.
    """
    return {_GLOO: interface} | ({_NCCL: f"={interface}"} if num_nodes > 1 else {})


def is_of_this_machine(variable: str, interfaces: str) -> bool:
    """Tell whether what such a variable says can be used on this machine, or is nothing at all.

    A shell's profile may have it from another machine, and no rank could begin. gloo takes whole
    names, each of which has to be here. NCCL takes beginnings of names, whole ones after `=`, and
    after `^` those not to be used; one that is here will do.
    """
    import psutil

    here = frozenset(psutil.net_if_addrs())
    asked = [name for name in interfaces.removeprefix("=").split(",") if name]
    if not interfaces or interfaces.startswith("^"):
        return not interfaces or variable == _NCCL
    if variable == _GLOO:
        return not interfaces.startswith("=") and here.issuperset(asked)
    if interfaces.startswith("="):
        return not here.isdisjoint(asked)
    return any(name.startswith(beginning) for name in here for beginning in asked)


def interface_of(address: str) -> str | None:
    """Return the network interface of this machine that has an address; None when none has."""
    import psutil

    for name, addresses in psutil.net_if_addrs().items():
        if any(entry.address == address for entry in addresses):
            return str(name)
    return None
