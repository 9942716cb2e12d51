"""The Ray of one executor, as its child process has it: one of our own, or one that is joined.

Our own takes calls from this machine alone, asks for a token that only this user can read, and
keeps its files in a private folder. What is written here holds for Ray 2.60.
"""

import logging
import math
import os
import secrets
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cluster.delivery.node_versions import NodeChecks
from cluster.driver.own_ray_variables import forget_other_rays
from cluster.driver.ray_access import AUTH_MODE, FIRST_MODE, enter, find_address, hold_package
from cluster.driver.ray_endings import first_line
from cluster.driver.session_folder import SessionFolder
from cluster.driver.spared_import import leave_out_pyarrow
from cluster.driver_messages import SlowStart, Start
from cluster.errors import SurroundingsError
from cluster.executor import STARTED_IN
from cluster.fault_classes import FaultClass
from cluster.machine.accelerators import find_accelerator
from cluster.machine.batch_job import given_bytes
from cluster.machine.container_limits import container_limits, free_host_bytes
from cluster.machine.resources import Resources
from cluster.machine.visible_gpus import visible_variable
from cluster.nodes.ray_nodes import GPU_MEMORY, GPU_PRODUCT, living_nodes
from cluster.orphans.launch_label import VARIABLE
from cluster.orphans.left_on_ray import end_left_on_ray
from cluster.orphans.left_processes import end_left_by_earlier_launches

if TYPE_CHECKING:
    from ray._private.node import Node

_OURS = ("cluster.driver.worker_start", "cluster.driver.worker_call")
_PRELOADED = "RAY_preload_python_modules"
"""Ray's variable: each of its processes imports these modules before it takes its first task."""
_TOKEN, _FILES = "token", "r"
"""Names in the folder of our own Ray: its token, and the folder of its own files."""
_OBJECT_STORE_BYTES = 100_000_000
"""Payloads and answers are small text; the rest of the memory is for the calls."""
_GAVE_UP = "timed out during startup"
"""What Ray says when its processes are not up after the 30 s that it waits for them (2.60)."""
_LEFT_FREE_BYTES = 4_000_000_000
"""Memory that Ray's monitor keeps free of a large host; by itself it keeps 5 % of any, which of a
terabyte is 50 GB that no job could use."""


@dataclass(kw_only=True)
class RaySession:
    """A Ray that this process is connected to."""

    is_own: bool
    """Whether it was started here."""
    node_id: str
    """Ray's id of the node of this process."""
    warning: str | None = None
    """What the user has to know of it."""
    dashboard: str | None = None
    """`host:port` of its dashboard; None where there is none."""
    folder: SessionFolder | None = None
    """The files of our own Ray."""
    code: Path | None = None
    """The packages that processes of our own Ray import as they start; None: they have others."""
    checks: NodeChecks | None = None
    """What the nodes of a joined Ray have; None where code was not carried there."""

    def lost_part(self) -> str | None:
        """Return what our own Ray has lost without which no call can begin any more, or None."""
        if not self.is_own:
            return None
        for name in ("gcs_server", "raylet"):
            for started in _own_node().all_processes.get(name, []):
                code = started.process.poll()
                if code is not None:
                    return f"{name} of our own Ray has ended (exit code {code})"
        needed = [self.code] if self.code else []
        if self.folder is not None:
            needed += [self.folder.path / _TOKEN, self.folder.path / _FILES]
        for place in needed:
            if not place.exists():
                return f"{place} was deleted, without which no job can begin"
        return None

    def close(self) -> None:
        """Stop our own Ray, or leave the joined one."""
        import ray

        ray.shutdown()
        self.discard()

    def discard(self) -> None:
        """Delete the files of our own Ray."""
        if self.folder is not None:
            self.folder.remove()


def open_session(start: Start, await_code: Callable[[], None]) -> RaySession:
    """Start or join Ray.

    Args:
        start: which, and what calls need there.
        await_code: returns once the folder `start.code` is complete.

    Raises:
        SurroundingsError: it cannot be had.
    """
    _quieten_ray()
    folder = warning = None
    address = start.address
    if address is None:
        warning = _swept_here(start)
        folder = _prepare_own(start.preloaded)
        if start.code is not None:
            _import_from(start.code)
    else:
        os.environ[AUTH_MODE] = FIRST_MODE
    try:
        import ray

        leave_out_pyarrow()
        if address is not None:
            address = find_address() if address == "auto" else address
            warning = enter(address, is_open_allowed=start.is_open_allowed)
        if start.code is not None:
            await_code()
            if address is not None:
                hold_package(address, Path(start.code))
        ray.init(**_options(start, address, folder))
    except SurroundingsError:
        raise
    except Exception as fault:  # Ray raises many kinds here; all mean the same to a user
        if folder is not None:
            folder.remove()
        if _GAVE_UP in str(fault):
            raise SlowStart(
                "Ray cannot be started: its processes were not up after half a minute",
                where="this machine",
                hint=f"it is slow, or busy with other things ({_load()}); "
                "`--executor local` needs no Ray",
            ) from fault
        raise SurroundingsError(
            f"Ray cannot be {'joined' if start.address else 'started'}: {first_line(fault)}",
            where=start.address or "this machine",
            hint="the launch has to run on one of its nodes"
            if start.address
            else "`--executor local` needs no Ray",
            fault_class=FaultClass.CLUSTER,
            code="cluster-unreachable",
        ) from fault
    _silence_ray_messages()
    node_id = ray.get_runtime_context().get_node_id()
    checks = None
    if address is not None and start.label is not None and (ended := end_left_on_ray(start.label)):
        also = f"ended what an earlier launch had left: {', '.join(ended)}"
        warning = f"{warning}; {also}" if warning else also
    if address is not None and start.code is not None and not start.takes_unlike_nodes:
        checks = NodeChecks(start.packages, start.libraries, start.label)
        checks.require(living_nodes())
    return RaySession(
        is_own=address is None,
        node_id=node_id,
        warning=warning,
        dashboard=_own_node().webui_url or None,
        folder=folder,
        code=Path(start.code) if start.code is not None and address is None else None,
        checks=checks,
    )


def _load() -> str:
    """Say how busy this machine is."""
    return f"load {os.getloadavg()[0]:.0f} on {os.cpu_count()} cores"


def _swept_here(start: Start) -> str | None:
    """End what earlier launches left on this machine; return what the user has to know of it."""
    if start.label is None:
        return None
    return end_left_by_earlier_launches(start.label).describe() or None


def _prepare_own(preloaded: Sequence[str]) -> SessionFolder:
    """Make the folder of a Ray of our own, and ask for a token and for loopback alone."""
    forget_other_rays()
    if preloaded:
        os.environ[_PRELOADED] = ",".join([*_OURS, *preloaded])
    folder = SessionFolder()
    token = folder.write_private(_TOKEN, secrets.token_hex(32))
    os.environ[AUTH_MODE] = "token"
    os.environ["RAY_AUTH_TOKEN_PATH"] = str(token)
    # Ray's variable for laptops: nodes get the loopback address, and then listen on that alone.
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    if "RAY_memory_usage_threshold" not in os.environ:  # Ray takes the larger of the two
        os.environ.setdefault("RAY_min_memory_free_bytes", str(_LEFT_FREE_BYTES))
    return folder


def _import_from(code: str) -> None:
    """Have workers look for modules in a folder before all others.

    Ray 2.60 puts the folder where its driver is before what `PYTHONPATH` says, and starts workers
    there; `load_entry` takes them back to where the launch was started.
    """
    with suppress(FileNotFoundError):  # it was deleted under the shell: nothing is looked for there
        os.environ[STARTED_IN] = os.getcwd()
    os.chdir(code)
    others = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([code, *([others] if others else [])])


def _options(start: Start, address: str | None, folder: SessionFolder | None) -> dict[str, object]:
    options: dict[str, object] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    if start.label is not None:
        options["namespace"] = str(start.label)  # by which a later launch knows what is ours
    if folder is None:
        joined: dict[str, object] = {"working_dir": start.code} if start.code else {}
        if start.label is not None:
            joined["env_vars"] = {VARIABLE: str(start.label)}
        return options | {"address": address, "runtime_env": joined}
    offered = start.offered
    os.environ.update(visible_variable())
    options |= {
        "address": "local",
        "include_dashboard": False,
        "num_cpus": int(offered.num_cpus),
        "num_gpus": int(offered.num_gpus),
        "object_store_memory": _OBJECT_STORE_BYTES,
        **_memory_of_container(),
        # Ray opens it to everybody; the folder around it not.
        "_temp_dir": str(folder.path / _FILES),
    }
    if offered.num_gpus and offered.gpu_memory_gb:
        # What the driver says of these GPUs; Ray knows only products, and not all.
        options["labels"] = {GPU_MEMORY: f"{offered.gpu_memory_gb:g}", **_product_label(offered)}
    return options


def _product_label(offered: Resources) -> dict[str, str]:
    """Return the label with the product of the GPUs, as labels are written."""
    product = find_accelerator(offered.gpu_name, offered.gpu_memory_gb)
    return {} if product is None else {GPU_PRODUCT: product.name.replace(" ", "-")}


def _memory_of_container() -> dict[str, int]:
    """Return what calls may hold where a control group or SLURM says it; Ray asks neither."""
    given = given_bytes()
    if math.isinf(container_limits().free_bytes) and math.isinf(given):
        return {}
    return {"_memory": int(max(0, min(free_host_bytes(), given) - _OBJECT_STORE_BYTES))}


def _own_node() -> "Node":
    from ray._private import worker

    return worker._global_node


def _quieten_ray() -> None:
    """Switch off what Ray does beyond what it is told, before it is imported."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Else a launch inside `uv run` would have its workers begin by it, in the folder it stands in.
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    # Ray's announced behaviour: it leaves a task without GPUs alone, we hide them ourselves.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")


def _silence_ray_messages() -> None:
    """Keep raylet messages out of what this process prints, where its last words are looked for.

    Ray looks its printer up by name, and has no setting for it (2.60, `log_to_driver=False`).
    """
    module = sys.modules["ray._private.worker"]
    assert hasattr(module, "print_to_stdstream"), "Ray renamed what prints raylet messages"
    module.print_to_stdstream = _print_nothing  # type: ignore[attr-defined]


def _print_nothing(data: object, ignore_prefix: bool = False) -> None:
    """Print nothing, in place of Ray's printer."""
