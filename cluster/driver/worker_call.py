"""What one call does in the worker that Ray gives it: the entry point is called where it is.

A worker imports this before its first call, and nothing of what the executor's side needs.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache

from cluster.executor import Outcome, Surroundings, call_entry
from cluster.machine.set_variables import variables_set
from cluster.nodes.ray_nodes import Preemption


def call_here(ticket: str, entry: str, payload: str, secrets: Mapping[str, str]) -> Outcome:
    """Call the entry point in a worker; no exception of our own passes through Ray."""
    node = _address()
    surroundings = Surroundings(stop_requested=_stop_requested(), node=node, is_own_process=True)
    with variables_set(secrets):
        return replace(call_entry(ticket, entry, payload, surroundings), node_id=_node_id())


def _stop_requested() -> Callable[[], bool]:
    """Return a test of whether this call was cancelled, or its node will be taken away."""
    import ray

    context = ray.get_runtime_context()
    here = frozenset({context.get_node_id()})
    return lambda: context.is_canceled() or _preemption().affects(here)


@cache
def _address() -> str:
    """Return the address of the node of this process."""
    import ray

    return str(ray.util.get_node_ip_address())


@cache
def _node_id() -> str:
    """Return Ray's id of the node of this process."""
    import ray

    return str(ray.get_runtime_context().get_node_id())


@cache
def _preemption() -> Preemption:
    """Return what looks for notices of this process's node, for all of its calls."""
    return Preemption()


def call_without_gpu(ticket: str, entry: str, payload: str, secrets: Mapping[str, str]) -> Outcome:
    """Call the entry point in a worker that sees no GPU."""
    # Ray shows all GPUs of the node to a task that asked for none (measured on 2.60).
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    return call_here(ticket, entry, payload, secrets)
