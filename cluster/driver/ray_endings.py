"""How a call ended that Ray reports as failed: whose fault it is, and on which node."""

import re
from dataclasses import dataclass

from cluster.executor import Ending, Outcome
from cluster.fault_classes import FaultClass
from cluster.machine.resources import Resources
from cluster.nodes.memory_pressure import MemoryPressure
from cluster.nodes.memory_report import describe_kill, judge, parse_memory_report
from cluster.nodes.node_reach import answers
from cluster.nodes.ray_nodes import all_nodes, broken_connection_of, node_of_task

_NODE_IN_MESSAGE = re.compile(r"(?:Node IP: |\(ip=|\(IP: |, ip=)([^,)\s]+)")
_TERMINAL_CODES = re.compile(r"\x1b\[[0-9;]*m")

_CLASSES = {
    "NodeDiedError": FaultClass.LOST_NODE,
    "LocalRayletDiedError": FaultClass.CLUSTER,
    "RuntimeEnvSetupError": FaultClass.CLUSTER,
    "TaskUnschedulableError": FaultClass.NO_ROOM,
    "OutOfDiskError": FaultClass.STORAGE_FULL,
}
"""Names of Ray's exceptions that say by themselves whose fault it is; others say that a process
ended."""


@dataclass(frozen=True, kw_only=True)
class CallAt:
    """A call whose ending is looked into."""

    ticket: str
    """Its name."""
    task: str
    """Ray's id of its task."""
    resources: Resources
    """What it was given."""


def outcome_of(
    fault: BaseException, call: CallAt, pressure: MemoryPressure, *, is_cancelled: bool
) -> Outcome:
    """Return the outcome of a call for which Ray gives an exception in place of an answer.

    Args:
        fault: what Ray gives.
        call: the call.
        pressure: takes note of a node whose memory others hold.
        is_cancelled: whether the call was asked to stop.
    """
    import ray

    if isinstance(fault, ray.exceptions.RayTaskError):
        return Outcome(
            ticket=call.ticket,
            ending=Ending.RAISED,
            # Its own text begins with the name of the task.
            error=f"{type(fault.cause).__name__}: {first_line(fault.cause)}",
            node=_node_named_in(str(fault)),
        )
    error = f"{type(fault).__name__}: {first_line(fault)}"
    if is_cancelled or isinstance(fault, ray.exceptions.TaskCancelledError):
        return Outcome(ticket=call.ticket, ending=Ending.CANCELLED, error=error)
    if isinstance(fault, ray.exceptions.OutOfMemoryError):
        return _killed_for_memory(str(fault), call, pressure)
    node_id = node_of_task(call.task)
    node = all_nodes().get(node_id) if node_id else None
    fault_class = _CLASSES.get(type(fault).__name__)
    if fault_class is None:
        is_dead = node is not None and (not node.is_alive or not answers(node))
        fault_class = FaultClass.LOST_NODE if is_dead else FaultClass.LOST_PROCESS
        is_far = node_id is not None and node_id != ray.get_runtime_context().get_node_id()
        if not is_dead and is_far and (broken := broken_connection_of(call.task)) is not None:
            fault_class = FaultClass.NETWORK
            error = f"the connection to its process broke ({broken}), and Ray ended that"
    return Outcome(
        ticket=call.ticket,
        ending=Ending.NO_ROOM if fault_class is FaultClass.NO_ROOM else Ending.LOST,
        error=error,
        node=node.address if node else _node_named_in(str(fault)),
        node_id=node_id,
        fault_class=fault_class,
    )


def _killed_for_memory(text: str, call: CallAt, pressure: MemoryPressure) -> Outcome:
    report = parse_memory_report(text)
    if report is None:  # another version's: who held the memory is not known
        return Outcome(
            ticket=call.ticket,
            ending=Ending.OUT_OF_MEMORY,
            error=text.splitlines()[0],
            node=_node_named_in(text),
            fault_class=FaultClass.OUT_OF_MEMORY,
        )
    own = report.of_call(call.ticket)
    if call.resources.num_ranks > 1:  # its driver, which holds little, was killed for its ranks
        own = max(report.calls(), key=lambda process: process.gb, default=own)
    fault_class = judge(
        report,
        own,
        planned_gb=call.resources.memory_gb,
        idle_gb=pressure.idle_gb.get(report.node_id),
    )
    is_own_fault = fault_class is FaultClass.OUT_OF_MEMORY
    if not is_own_fault:
        pressure.note(report, own, call.resources.memory_gb)
    return Outcome(
        ticket=call.ticket,
        ending=Ending.OUT_OF_MEMORY if is_own_fault else Ending.LOST,
        error=describe_kill(report, own, fault_class),
        node=report.node,
        node_id=report.node_id,
        fault_class=fault_class,
    )


def first_line(fault: BaseException) -> str:
    """Return the first line of what a fault says, without codes for a terminal."""
    text = _TERMINAL_CODES.sub("", str(fault)).strip() or type(fault).__name__
    return text.splitlines()[0]


def _node_named_in(message: str) -> str | None:
    match = _NODE_IN_MESSAGE.search(message)
    return match[1] if match else None
