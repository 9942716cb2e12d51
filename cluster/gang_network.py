"""What every rank of a gang is prepared with before torch's process group: its network interface.

Without it, gloo asks what the machine's own name resolves to, which on many is the loopback device:
then ranks of several nodes never find each other. Ray knows the address that the others see.
"""

import os
from typing import Any

_INTERFACE = "GLOO_SOCKET_IFNAME"


def torch_config(board: Any, *, backend: str, timeout_s: int) -> Any:
    """Ray Train's set-up of torch, with ours before it, on every rank."""
    from ray.train.torch import TorchConfig
    from ray.train.torch.config import _TorchBackend

    class Backend(_TorchBackend):  # type: ignore[misc]
        def on_start(self, worker_group: Any, backend_config: Any) -> None:
            worker_group.execute(_prepare, board)
            super().on_start(worker_group, backend_config)

    class Config(TorchConfig):  # type: ignore[misc]
        @property
        def backend_cls(self) -> type[Backend]:
            return Backend

    return Config(backend=backend, timeout_s=timeout_s)


def _prepare(board: Any) -> None:
    """Runs on each rank."""
    import ray

    ray.get(board.hold.remote(ray.util.get_current_placement_group().id.hex()))
    found = interface_of(ray.util.get_node_ip_address())
    if found is not None:
        os.environ.setdefault(_INTERFACE, found)


def interface_of(address: str) -> str | None:
    """The network interface of this machine that has an address; None when none has."""
    import psutil

    for name, addresses in psutil.net_if_addrs().items():
        if any(each.address == address for each in addresses):
            return str(name)
    return None
