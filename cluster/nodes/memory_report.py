"""Ray's report of a node that ran out of memory: who held it, and whose fault the kill is.

Ray's monitor ends workers of its own when a node is full, whoever filled it: a report names the
workers that it ended and the largest processes of the node.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from cluster.fault_classes import FaultClass

_NODE = re.compile(r"Memory on the node \(IP: ([^,]+), ID: ([0-9a-f]+)\)")
_USAGE = re.compile(r"Memory usage (\d+)B exceeded threshold of (\d+)B \([\d.]+% of (\d+)B limit\)")
_KILLED = re.compile(
    r"Selected to kill: \(\w+: .*?(?:task|actor) name=(.*?), required resources=.*?"
    r"pid=(\d+), actual memory used=([\d.]+)GB"
)
_PROCESS = re.compile(r"^(\d+)\t([\d.]+)\t(.*)$", re.MULTILINE)
_WORKER = "ray::"
_OF_RAY = ("ray::DashboardAgent", "ray::RuntimeEnvAgent", "ray::IDLE")
_ALIKE = 0.9
"""Share of the mean of several processes from which on one counts as being as large."""


@dataclass(frozen=True, kw_only=True)
class Process:
    """One process of a node."""

    pid: int
    """Its number."""
    gb: float
    """The memory it held, in 10^9 bytes."""
    command: str
    """Its command line, or the name of the call that it ran."""


@dataclass(frozen=True, kw_only=True)
class MemoryReport:
    """What Ray reports when it ended workers of a node for want of memory."""

    node: str
    """Address of the node."""
    node_id: str
    """Ray's id of the node."""
    used_gb: float
    """Memory in use on the node, by whomever, in 10^9 bytes."""
    threshold_gb: float
    """Memory in use from which on Ray ends workers."""
    limit_gb: float
    """Memory of the node."""
    killed: Sequence[Process]
    """The workers that Ray ended; the command is the name of the call."""
    largest: Sequence[Process]
    """The largest processes of the node, the largest first."""

    def of_call(self, name: str) -> Process | None:
        """Return the killed worker that ran the call of this name."""
        return next((process for process in self.killed if process.command == name), None)

    def calls(self) -> Sequence[Process]:
        """Return the processes that ran calls: the killed ones, and those among the largest."""
        killed = {process.pid for process in self.killed}
        others = [
            process
            for process in self.largest
            if process.pid not in killed
            and process.command.startswith(_WORKER)
            and not process.command.startswith(_OF_RAY)
        ]
        return [*self.killed, *others]

    def strangers(self) -> Sequence[Process]:
        """Return the largest processes that ran no calls, the largest first."""
        calls = {process.pid for process in self.calls()}
        return [process for process in self.largest if process.pid not in calls]


def parse_memory_report(text: str) -> MemoryReport | None:
    """Read the message of Ray's OutOfMemoryError; None when it is none that this code knows."""
    node, usage = _NODE.search(text), _USAGE.search(text)
    if node is None or usage is None:
        return None
    used, threshold, limit = (int(number) / 1e9 for number in usage.groups())
    listed = [
        Process(pid=int(pid), gb=float(gb), command=command.strip())
        for pid, gb, command in _PROCESS.findall(text)
    ]
    return MemoryReport(
        node=node[1],
        node_id=node[2],
        used_gb=used,
        threshold_gb=threshold,
        limit_gb=limit,
        killed=[
            Process(pid=int(pid), gb=float(gb), command=name)
            for name, pid, gb in _KILLED.findall(text)
        ],
        largest=sorted(listed, key=lambda process: -process.gb),
    )


def judge(
    report: MemoryReport,
    own: Process | None,
    *,
    planned_gb: float,
    idle_gb: float | None,
) -> FaultClass:
    """Tell whose fault it is that a call was killed for its node's memory.

    A call that held no more than was planned for it, or less than one process of others, is not at
    fault. Otherwise whoever grew more is: the calls together, or everything else on the node.

    Args:
        report: what Ray said.
        own: the process of the call; None when the report does not name it.
        planned_gb: memory that the call was given, in 10^9 bytes; 0 = not accounted for.
        idle_gb: memory in use on the node before any call ran; None when that is not known.

    Returns:
        OUT_OF_MEMORY for the call's own fault, HOST_MEMORY for a neighbour's.
    """
    if own is None or own.gb <= planned_gb:
        return FaultClass.HOST_MEMORY
    calls, strangers = report.calls(), report.strangers()
    if strangers and strangers[0].gb > own.gb:
        return FaultClass.HOST_MEMORY
    held = sum(process.gb for process in calls)
    if idle_gb is None:
        others = sum(process.gb for process in strangers)
    else:
        others = report.used_gb - held - idle_gb
    if others > held or own.gb < _ALIKE * held / len(calls):
        return FaultClass.HOST_MEMORY
    return FaultClass.OUT_OF_MEMORY


def describe_kill(report: MemoryReport, own: Process | None, fault_class: FaultClass) -> str:
    """Say in one sentence why a call was killed, and name the largest process beside it."""
    held = f"which held {own.gb:g} GB" if own else "whose memory is not known"
    said = (
        f"the node had no memory left ({report.used_gb:.1f} of {report.limit_gb:.1f} GB in use), "
        f"and Ray's monitor killed the call, {held}"
    )
    others = [process for process in report.largest if own is None or process.pid != own.pid]
    if not others or fault_class is FaultClass.OUT_OF_MEMORY:
        return said
    most = others[0]
    return f"{said}; the largest process beside it has {most.gb:g} GB: {most.command} ({most.pid})"
