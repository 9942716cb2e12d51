"""The end of a call whose process Ray does not end, because that process stands still.

Ray 2.60 asks the process to end itself, without a limit of time: one that a signal or a debugger
has stopped never answers where it was asked before, and lives on.
"""

import json
from typing import TYPE_CHECKING

from cluster.executor import Surroundings
from cluster.nodes.ray_nodes import NODE_ID, ids_of, node_of_task

if TYPE_CHECKING:
    from ray.remote_function import RemoteFunction

_ENTRY = f"{__name__}:end_here"
"""Entry point that kills."""


def end_where_it_runs(ticket: str, task: str, pinned: "RemoteFunction") -> None:
    """Have the process of a call killed by another one on its node; blocks for seconds at most.

    Args:
        ticket: of the call.
        task: Ray's id of its task; where Ray does not know its node, or that is dead, nothing is
            done.
        pinned: what calls an entry point beside all else on a node.
    """
    node = node_of_task(task)
    if node is not None and ids_of({node}):
        call = pinned.options(name=f"{ticket}-end", label_selector={NODE_ID: node})
        call.remote(f"{ticket}-end", _ENTRY, ticket, {})


def end_here(ticket: str, surroundings: Surroundings) -> str:
    """Kill the processes on this node that are at a call; return their numbers, as JSON."""
    import psutil

    killed = []
    for process in psutil.process_iter():
        try:
            if process.cmdline()[:1] == [f"ray::{ticket}"]:
                process.kill()
                killed.append(process.pid)
        except psutil.Error:
            continue  # another user's, or it has ended
    return json.dumps(killed)
