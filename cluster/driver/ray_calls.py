"""Calls on a Ray that this process has started or joined: submitted, interrupted, ended.

Calls are tasks, not actors: one warm worker per core serves calls of every shape (measured on 2
cores: 1,000 calls ran in 2 processes, 900 a second, and no idle worker was stopped between calls).
A call with GPUs gets a fresh process, because a process keeps the device memory it once took.
Nothing is tried again here: the one retry loop is the orchestrator's, and Ray's are switched off.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from cluster.driver.forced_end import END
from cluster.driver.ray_endings import CallAt, outcome_of
from cluster.driver.worker_call import call_here, call_without_gpu
from cluster.driver_messages import Submit
from cluster.executor import Ending, Outcome
from cluster.fault_classes import FaultClass
from cluster.gangs.gang_call import GangCalls
from cluster.gangs.gang_placement import selector_of
from cluster.machine.gpu_variables import gpu_variables
from cluster.machine.resources import Resources
from cluster.nodes.memory_pressure import MemoryPressure
from cluster.nodes.ray_nodes import NODE_ID, ids_of, node_of_task

if TYPE_CHECKING:
    from concurrent.futures import Future

    from ray import ObjectRef

_GANG_ENDS_S = 15.0
"""How much longer than its ranks may save the driver of an interrupted gang may take: it ends them
itself; killed before, it would leave their resources reserved."""
_KILLED_WITHIN_S = 10.0
"""How long a process may take to die before it is killed past Ray; at every try by as much longer.
Ray itself gives it 5 s."""
_HELD_S = 60.0
"""How long a call is held back while others hold the memory of all nodes; then it did not begin."""


@dataclass(kw_only=True)
class Call:
    """One call that has not ended."""

    ref: "ObjectRef"
    """Ray's reference to its Outcome."""
    resources: Resources
    """What it was given."""
    since: float = field(default_factory=time.monotonic)
    """When it was submitted, by the monotonic clock."""
    kill_at: float | None = None
    """When it is killed; None: it was not asked to stop."""
    num_kills: int = 0
    """How often Ray was asked to kill it."""


class RayCalls:
    """The calls of one Ray that have not ended. All methods are called on one thread.

    Args:
        finish: takes the outcome of each call that ended.
        later: takes what is to be done on the thread of this object.
        pressure: the nodes whose memory others hold.
        imports: modules that ranks import, for processes that stand ready to be some.
    """

    def __init__(
        self,
        finish: Callable[[Outcome], None],
        later: Callable[[Callable[[], None]], None],
        pressure: MemoryPressure,
        imports: Sequence[str] = (),
    ) -> None:
        import ray

        self._finish = finish
        self._later = later
        self._calls: dict[str, Call] = {}
        self._gangs = GangCalls(imports)
        self._pressure = pressure
        self._avoided: frozenset[str] = frozenset()
        self._held: dict[str, tuple[Submit, float]] = {}
        self._remote = {
            False: ray.remote(num_cpus=1, max_retries=0)(call_without_gpu),
            # max_calls: the process ends with the call and gives the device memory back.
            True: ray.remote(num_cpus=1, num_gpus=1, max_retries=0, max_calls=1)(call_here),
        }
        self._pinned = ray.remote(num_cpus=0, max_retries=0)(call_here)

    @property
    def waiting(self) -> Mapping[str, Call]:
        """The calls that have not ended, by ticket: a copy."""
        return dict(self._calls)

    def avoid(self, nodes: frozenset[str]) -> None:
        """Send no more calls to these nodes, by their ids."""
        self._avoided = nodes

    def submit(self, message: Submit) -> None:
        """Queue one call; while others hold the memory of all nodes it is held back.

        One for a certain node is not: it takes next to nothing.
        """
        if self._pressure.is_everywhere and message.node is None:
            self._held[message.ticket] = (message, time.monotonic() + _HELD_S)
        else:
            self._start(message)

    def release(self) -> None:
        """Start the calls that were held back, once there is room; give up those held too long."""
        now, is_everywhere = time.monotonic(), self._pressure.is_everywhere
        for ticket, (message, until) in list(self._held.items()):
            if is_everywhere and now < until:
                continue
            del self._held[ticket]
            if not is_everywhere:
                self._start(message)
            else:
                self._finish(
                    Outcome(
                        ticket=ticket,
                        ending=Ending.NO_ROOM,
                        error=self._pressure.describe(),
                        fault_class=FaultClass.HOST_MEMORY,
                    )
                )

    def _start(self, message: Submit) -> None:
        """Start one call as one Ray task; a call of several ranks as a task that runs the gang."""
        avoided = self._pressure.nodes | self._avoided | ids_of(message.avoided)
        if message.resources.num_ranks > 1:
            ref = self._gangs.submit(message, self._pressure.idle_gb, avoided, self._held)
        elif message.node is not None:
            there = ids_of(frozenset({message.node}))
            if not there:
                self._finish(_nowhere(message.ticket, message.node))
                return
            ref = self._submit_there(message, min(there))
        else:
            ref = self._submit_alone(message, avoided)
        ticket = message.ticket
        self._calls[ticket] = Call(ref=ref, resources=message.resources)
        ref.future().add_done_callback(
            lambda future: self._later(lambda: self._take(ticket, ref, future))
        )

    def _submit_alone(self, message: Submit, avoided: frozenset[str]) -> "ObjectRef":
        resources = message.resources
        options: dict[str, object] = {"num_cpus": resources.num_cpus, "name": message.ticket}
        if resources.num_gpus:
            # An environment of its own, so that no worker is reused that was started without GPUs.
            options |= {
                "num_gpus": resources.num_gpus,
                "runtime_env": {"env_vars": {"DELTASCALE_GPU_WORKER": "1", **gpu_variables()}},
            }
        if selector := selector_of(resources, avoided):
            options["label_selector"] = selector
        if resources.memory_gb:
            options["memory"] = int(resources.memory_gb * 1e9)
        call = self._remote[resources.num_gpus > 0].options(**options)
        ref: ObjectRef = call.remote(
            message.ticket, message.entry, message.payload, dict(message.secrets)
        )
        return ref

    def _submit_there(self, message: Submit, node: str) -> "ObjectRef":
        """Run a call on one node, beside all that runs there; it sees what the node sees."""
        call = self._pinned.options(name=message.ticket, label_selector={NODE_ID: node})
        ref: ObjectRef = call.remote(
            message.ticket, message.entry, message.payload, dict(message.secrets)
        )
        return ref

    def cancel(self, ticket: str, grace_s: float) -> None:
        """Interrupt one call; its process is killed when it does not end in time."""
        import ray

        if self._held.pop(ticket, None) is not None:
            error = "cancelled before it started"
            self._finish(Outcome(ticket=ticket, ending=Ending.CANCELLED, error=error))
        call = self._calls.get(ticket)
        if call is not None and call.kill_at is None:
            self._gangs.give(ticket, grace_s)
            wait_s = grace_s + (_GANG_ENDS_S if ticket in self._gangs else 0.0)
            call.kill_at = time.monotonic() + wait_s
            # Not what the call started itself: a gang is stopped by its driver.
            ray.cancel(call.ref, force=False, recursive=False)

    def expect_again(self, ticket: str) -> None:
        """Prepare for the next try of a call that may have to be ended soon."""
        self._gangs.expect_again(ticket, self._later)

    def kill_overdue(self) -> None:
        """Kill the calls that were asked to stop and did not in time, and spares that have."""
        import ray

        self._gangs.drop_spares()

        now = time.monotonic()
        for ticket, call in self._calls.items():
            if call.kill_at is not None and now >= call.kill_at:
                if call.num_kills:
                    self._end_past_ray(f"{ticket}-end-{call.num_kills}", ticket, call)
                call.num_kills += 1
                call.kill_at = now + _KILLED_WITHIN_S * call.num_kills
                ray.cancel(call.ref, force=True)

    def _end_past_ray(self, name: str, ticket: str, call: Call) -> None:
        """Have another call, of this name, kill the process of a call on the node it runs on.

        Nothing is done where Ray does not know the node. Nobody waits for the outcome.
        """

        def find() -> None:
            node = node_of_task(call.ref.task_id().hex())
            if node is not None:
                message = Submit.beside(name, node, END, ticket)
                self._later(lambda: self.submit(message))

        threading.Thread(target=find, daemon=True).start()

    def give_up(self, ticket: str, outcome: Outcome) -> None:
        """End a call that Ray itself would never end."""
        call = self._calls.pop(ticket, None)
        if call is None:
            return
        self._clear(ticket, outcome, call)

    def stop(self) -> None:
        """Kill all calls."""
        import ray

        for call in self._calls.values():
            ray.cancel(call.ref, force=True)
        self._calls.clear()
        self._held.clear()

    def _take(self, ticket: str, ref: "ObjectRef", future: "Future[Outcome]") -> None:
        call = self._calls.get(ticket)
        if call is None or call.ref is not ref:
            return  # it was given up before
        del self._calls[ticket]
        is_cancelled = call.kill_at is not None
        fault = future.exception()
        if fault is None:
            outcome = future.result()
        else:
            at = CallAt(ticket=ticket, task=ref.task_id().hex(), resources=call.resources)
            outcome = outcome_of(fault, at, self._pressure, is_cancelled=is_cancelled)
        if is_cancelled and outcome.ending is Ending.RAISED:  # an error while it was interrupted
            outcome = replace(outcome, ending=Ending.CANCELLED)
        self._clear(ticket, outcome, None)

    def _clear(self, ticket: str, outcome: Outcome, given_up: Call | None) -> None:
        """Free what a call may have left, then report it; beside other calls, for it may take."""

        def clear() -> None:
            import ray

            if given_up is not None:
                ray.cancel(given_up.ref, force=True)
            if gang is not None:
                self._gangs.clear(ticket, gang)
            self._later(lambda: self._finish(outcome))

        gang = self._gangs.end(ticket)
        if gang is None and given_up is None:
            self._finish(outcome)
        else:
            threading.Thread(target=clear, daemon=True).start()


def _nowhere(ticket: str, node: str) -> Outcome:
    """Return the end of a call that was meant for a node which is not there."""
    return Outcome(
        ticket=ticket,
        ending=Ending.LOST,
        error=f"there is no living node {node}",
        fault_class=FaultClass.LOST_NODE,
    )
