"""Executor `ray`: runs calls as Ray tasks on a Ray of our own, or on one that is joined.

Calls are tasks, not actors: one warm worker per core serves calls of every shape (measured on 2
cores: 1,000 calls ran in 2 processes, 900 a second, and no idle worker was stopped between calls).
A call with GPUs gets a fresh process, because a process keeps the device memory it once took.
Nothing is tried again here: the one retry loop is the orchestrator's, and Ray's are switched off.
"""

import importlib
import logging
import math
import os
import re
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cluster.container_limits import container_limits, free_host_bytes
from cluster.errors import SurroundingsError, UserError
from cluster.executor import Ending, Outcome, Surroundings, call_entry
from cluster.gang_call import GangCalls
from cluster.gang_placement import selector_of
from cluster.gpu_variables import gpu_variables
from cluster.ray_nodes import GPU_MEMORY, Preemption, free_on_nodes, living_nodes
from cluster.resources import Resources, this_machine
from cluster.visible_gpus import visible_variable

if TYPE_CHECKING:
    from ray import ObjectRef
    from ray.remote_function import RemoteFunction

_GANG_GRACE_S = 90.0
"""How long the driver of an interrupted gang may take: it gives its ranks time to save their work,
then ends them itself; killed before, it would leave their resources reserved."""
_LONGEST_HOST = 253
"""Characters of a host's name, as the domain name system allows them."""
_CONNECT_S = 10.0
"""How long a Ray that is to be joined may take to answer."""
_OBJECT_STORE_BYTES = 100_000_000
"""Payloads and answers are small text; the rest of the memory is for the calls."""
_NODE_IN_MESSAGE = re.compile(r"(?:Node IP: |\(ip=|\(IP: )([^,)\s]+)")


class Executor:
    """Runs calls on a Ray that dies with this process, or on one that is joined.

    Args:
        address: A running Ray to join; None starts one on this machine.
        offered: What our own Ray may use; None is the whole machine. Ignored when joining.
        packages: Names of importable packages to carry to a joined Ray, once per `start`.
        grace_s: How long an interrupted call may save its work before its process is killed.
    """

    def __init__(
        self,
        *,
        address: str | None = None,
        offered: Resources | None = None,
        packages: Sequence[str] = (),
        grace_s: float = 10.0,
    ) -> None:
        self.grace_s = grace_s
        self._address = address
        self._offered = offered
        self._packages = packages
        self._staged: Path | None = None
        self._tickets: dict[ObjectRef, str] = {}
        self._refs: dict[str, ObjectRef] = {}
        self._kill_at: dict[str, float] = {}
        self._calls: dict[bool, RemoteFunction] = {}
        self._gangs = GangCalls()

    def start(self) -> None:
        """Start or join Ray. Raises SurroundingsError when it cannot be had."""
        if self._address is not None:
            _require_answer(self._address)
        _quieten_ray()
        import ray

        options: dict[str, object] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
        if self._address is None:
            offered = self._offered or this_machine()
            os.environ.update(visible_variable())
            options |= {
                "address": "local",
                "include_dashboard": False,
                "num_cpus": int(offered.num_cpus),
                "num_gpus": int(offered.num_gpus),
                "object_store_memory": _OBJECT_STORE_BYTES,
                **_memory_of_container(),
            }
            if offered.num_gpus and offered.gpu_memory_gb:
                # What the driver says of these GPUs; Ray knows only products, and not all.
                options["labels"] = {GPU_MEMORY: f"{offered.gpu_memory_gb:g}"}
        else:
            options |= {"address": self._address, "runtime_env": self._packages_aside()}
        try:
            ray.init(**options)
        except Exception as fault:  # Ray raises many kinds here; all mean the same to a user
            self._discard_staged()
            raise SurroundingsError(
                f"Ray cannot be {'joined' if self._address else 'started'}: {_first_line(fault)}",
                where=self._address or "this machine",
                hint="`--executor local` needs no Ray" if self._address is None else None,
            ) from fault
        _silence_ray_messages()
        self._calls = {
            False: ray.remote(num_cpus=1, max_retries=0)(_call_without_gpu),
            # max_calls: the process ends with the call and gives the device memory back.
            True: ray.remote(num_cpus=1, num_gpus=1, max_retries=0, max_calls=1)(_call),
        }

    def capacity(self) -> Resources:
        """Return everything on living nodes."""
        total = Resources(num_cpus=0)
        for node in self.nodes():
            total = total.plus(node)
        return total

    def nodes(self) -> list[Resources]:
        """Return what each living node offers."""
        return [node.offers for node in living_nodes()]

    def free(self) -> list[Resources]:
        """Return what each living node has left, as Ray last heard."""
        return free_on_nodes()

    def most_ranks(self) -> float:
        """Return infinity: a call may have as many ranks as the nodes hold."""
        return math.inf

    def submit(self, ticket: str, entry: str, payload: str, resources: Resources) -> None:
        """Queue one call as one Ray task; a call of several ranks as a task that runs the gang."""
        if resources.num_ranks > 1:
            ref = self._gangs.submit(ticket, entry, payload, resources)
        else:
            ref = self._submit_alone(ticket, entry, payload, resources)
        self._tickets[ref] = ticket
        self._refs[ticket] = ref

    def _submit_alone(
        self, ticket: str, entry: str, payload: str, resources: Resources
    ) -> "ObjectRef":
        options: dict[str, object] = {"num_cpus": resources.num_cpus, "name": ticket}
        if resources.num_gpus:
            # An environment of its own, so that no worker is reused that was started without GPUs.
            options |= {
                "num_gpus": resources.num_gpus,
                "label_selector": selector_of(resources),
                "runtime_env": {"env_vars": {"DELTASCALE_GPU_WORKER": "1", **gpu_variables()}},
            }
        if resources.memory_gb:
            options["memory"] = int(resources.memory_gb * 1e9)
        call = self._calls[resources.num_gpus > 0]
        return call.options(**options).remote(ticket, entry, payload)

    def wait(self, timeout_s: float) -> list[Outcome]:
        """Return the calls that ended; kill those that were asked to stop and did not in time."""
        import ray

        self._kill_overdue()
        if not self._tickets:
            time.sleep(timeout_s)
            return []
        pending = list(self._tickets)
        ended, _ = ray.wait(pending, num_returns=1, timeout=timeout_s)
        if ended:
            ended, _ = ray.wait(pending, num_returns=len(pending), timeout=0)
        return [self._take(ref) for ref in ended]

    def cancel(self, ticket: str) -> None:
        """Interrupt one call; its process is killed when it does not end in time."""
        import ray

        if ticket in self._refs and ticket not in self._kill_at:
            grace_s = _GANG_GRACE_S if ticket in self._gangs else self.grace_s
            self._kill_at[ticket] = time.monotonic() + grace_s
            # Not what the call started itself: a gang is stopped by its driver.
            ray.cancel(self._refs[ticket], force=False, recursive=False)

    def close(self) -> None:
        """Stop our own Ray, or leave the joined one; calls still running there are stopped."""
        import ray

        for ref in self._tickets:
            ray.cancel(ref, force=True)
        self._tickets.clear()
        self._refs.clear()
        self._kill_at.clear()
        ray.shutdown()
        self._discard_staged()

    def _take(self, ref: "ObjectRef") -> Outcome:
        ticket = self._tickets.pop(ref)
        del self._refs[ticket]
        cancelled = self._kill_at.pop(ticket, None) is not None
        self._gangs.end(ticket)
        outcome = _outcome(ticket, ref, cancelled)
        if cancelled and outcome.ending is Ending.RAISED:  # an error while it was interrupted
            return replace(outcome, ending=Ending.CANCELLED)
        return outcome

    def _kill_overdue(self) -> None:
        import ray

        now = time.monotonic()
        for ticket, kill_at in self._kill_at.items():
            if now >= kill_at:
                self._kill_at[ticket] = now + self.grace_s
                ray.cancel(self._refs[ticket], force=True)

    def _packages_aside(self) -> dict[str, str]:
        """Copy the packages alone aside: no data, no `.git`, nothing else of their folder."""
        if not self._packages:
            return {}
        self._staged = Path(tempfile.mkdtemp(prefix="deltascale-code-"))
        for name in self._packages:
            source = Path(str(importlib.import_module(name).__file__)).parent
            shutil.copytree(
                source, self._staged / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        return {"working_dir": str(self._staged)}

    def _discard_staged(self) -> None:
        if self._staged is not None:
            shutil.rmtree(self._staged, ignore_errors=True)
            self._staged = None


def _call(ticket: str, entry: str, payload: str) -> Outcome:
    """Call the entry point in a worker; no exception of our own passes through Ray."""
    import ray

    node = ray.util.get_node_ip_address()
    surroundings = Surroundings(stop_requested=_stop_requested(), node=node)
    return call_entry(ticket, entry, payload, surroundings)


def _stop_requested() -> Callable[[], bool]:
    """Return a test of whether this call was cancelled, or its node will be taken away."""
    import ray

    context = ray.get_runtime_context()
    here, preemption = frozenset({context.get_node_id()}), Preemption()
    return lambda: context.is_canceled() or preemption.affects(here)


def _call_without_gpu(ticket: str, entry: str, payload: str) -> Outcome:
    # Ray shows all GPUs of the node to a task that asked for none (measured on 2.60).
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    return _call(ticket, entry, payload)


def _outcome(ticket: str, ref: "ObjectRef", cancelled: bool) -> Outcome:
    import ray

    try:
        outcome: Outcome = ray.get(ref)
    except ray.exceptions.RayTaskError as fault:
        return Outcome(ticket=ticket, ending=Ending.RAISED, error=_first_line(fault))
    except ray.exceptions.RayError as fault:
        return Outcome(
            ticket=ticket,
            ending=_ending(fault, cancelled),
            error=f"{type(fault).__name__}: {_first_line(fault)}",
            node=_node_named_in(str(fault)),
        )
    return outcome


def _ending(fault: Exception, cancelled: bool) -> Ending:
    import ray

    if cancelled or isinstance(fault, ray.exceptions.TaskCancelledError):
        return Ending.CANCELLED
    is_memory = isinstance(fault, ray.exceptions.OutOfMemoryError)
    return Ending.OUT_OF_MEMORY if is_memory else Ending.LOST


def _first_line(fault: Exception) -> str:
    return (str(fault).strip() or type(fault).__name__).splitlines()[0]


def _node_named_in(message: str) -> str | None:
    match = _NODE_IN_MESSAGE.search(message)
    return match[1] if match else None


def _require_answer(address: str) -> None:
    """Raise SurroundingsError unless something listens there; Ray alone would try for minutes."""
    host, separator, port = address.removeprefix("ray://").rpartition(":")
    if not separator or not (port.isascii() and port.isdigit()):
        return  # `auto`, or another address that Ray resolves itself
    if len(host) > _LONGEST_HOST or len(port) > 5 or int(port) > 65535:
        raise UserError(
            f"{address[:100]!r} is no address of a Ray",
            where="--address",
            allowed=["host:port", "ray://host:port", "auto"],
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_S).close()
    except (OSError, UnicodeError) as fault:
        reason = getattr(fault, "strerror", None) or fault
        raise SurroundingsError(
            f"Ray cannot be joined: nothing answers ({reason})", where=address
        ) from fault


def _memory_of_container() -> dict[str, int]:
    """Return what calls may hold where a control group says it; Ray sees no nested groups."""
    free = container_limits().free_bytes
    if math.isinf(free):
        return {}
    return {"_memory": max(0, free_host_bytes() - _OBJECT_STORE_BYTES)}


def _quieten_ray() -> None:
    """Switch off Ray's usage reports and warnings, before Ray is imported."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Ray's announced behaviour: it leaves a task without GPUs alone, we hide them ourselves.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")


def _silence_ray_messages() -> None:
    """Keep raylet messages off stdout, which holds answers; Ray prints them there in any case.

    Ray looks its printer up by name, and has no setting for it (2.60, `log_to_driver=False`).
    """
    module = sys.modules["ray._private.worker"]
    assert hasattr(module, "print_to_stdstream"), "Ray renamed what prints raylet messages"
    module.print_to_stdstream = _print_nothing  # type: ignore[attr-defined]


def _print_nothing(data: object, ignore_prefix: bool = False) -> None:
    """Print nothing, in place of Ray's printer."""
