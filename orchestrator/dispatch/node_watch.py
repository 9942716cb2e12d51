"""`NodeWatch`: tells the executor, the ledger and the watcher which nodes get no jobs now."""

import time
from collections.abc import Sequence
from dataclasses import replace

from orchestrator.dispatch.job_queue import JobQueue
from orchestrator.dispatch.nodes.node_choice import NodeChoice
from orchestrator.dispatch.running_launch import RunningLaunch
from orchestrator.records.events import Quarantined


class NodeWatch:
    """Puts into force what `NodeChoice` says of the nodes of one launch."""

    def __init__(self, launch: RunningLaunch, queue: JobQueue, nodes: NodeChoice) -> None:
        self._launch = launch
        self._queue = queue
        self._nodes = nodes
        self._shunned: frozenset[str] = frozenset()

    def begin_anew(self) -> None:
        """Forget what the executor was told: it has started again."""
        self._shunned = frozenset()

    def shun(self) -> bool:
        """Send nothing to nodes that rest or are in quarantine; True when a quarantine changed."""
        nodes, machines = self._nodes, self._queue.machines
        has_changed = False
        for change in nodes.review(self._queue.shapes):
            named = replace(change, node=nodes.address_of(change.node))
            self._launch.watcher.note_quarantine(named)
            self._launch.journal.append(
                Quarantined(
                    at=time.time(),
                    node=named.node,
                    since=named.since,
                    until=named.until,
                    why=named.why,
                )
            )
            has_changed = True
        machines.without = nodes.quarantined
        shunned = nodes.shunned(len(machines.nodes) + len(machines.without))
        if shunned != self._shunned:
            self._launch.executor.avoid(shunned)
            self._shunned = shunned
        return has_changed

    def avoided_by(self, keys: Sequence[str]) -> frozenset[str] | None:
        """Return the nodes that jobs of one call do not go back to; None: others have no room."""
        if len(keys) != 1:
            return frozenset()  # jobs that share a call were not tried before
        resources = self._launch.states.jobs[keys[0]].resources
        avoided = self._nodes.avoided_by(keys[0], resources)
        if avoided and not self._nodes.has_room_for(resources, avoided):
            return None
        return avoided
