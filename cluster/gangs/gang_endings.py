"""How a gang ended: from what its ranks reported, and from what is known of those that died."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from cluster.executor import Ending, Outcome, RankEnding
from cluster.fault_classes import FaultClass
from cluster.gangs.gang_board import GangSnapshot
from cluster.gangs.gang_placement import NoRoom
from cluster.nodes.memory_report import judge, parse_memory_report
from cluster.nodes.ray_nodes import living_nodes


@dataclass(frozen=True, kw_only=True)
class RankDeaths:
    """What is known of how ranks died that left no report."""

    is_cut_off: bool
    """Whether the node of a rank is dead."""
    planned_gb: float
    """Memory that a rank was given, in 10^9 bytes; 0 = not accounted for."""
    idle_gb: Mapping[str, float]
    """Memory in use before any call ran, by node, where it is known, in 10^9 bytes."""

    def fault_class(self, text: str, snapshot: GangSnapshot) -> FaultClass:
        """Tell whose fault it is that Ray's monitor killed a rank, from its report."""
        report = parse_memory_report(text)
        if report is None:
            return FaultClass.OUT_OF_MEMORY
        pids = {seat.pid for seat in snapshot.seats.values()}
        killed = [process for process in report.killed if process.pid in pids]
        return judge(
            report,
            max(killed, key=lambda process: process.gb, default=None),
            planned_gb=self.planned_gb,
            idle_gb=self.idle_gb.get(report.node_id),
        )


def outcome_of_gang(
    ticket: str,
    snapshot: GangSnapshot,
    fault: Exception | None,
    deaths: RankDeaths,
    *,
    is_cancelled: bool,
) -> Outcome:
    """Return how the call ended; a rank that died without a report outweighs what others report.

    Args:
        ticket: name of the call.
        snapshot: what the board holds.
        fault: what Ray Train raised, or None.
        deaths: what is known of ranks that died.
        is_cancelled: whether the call was asked to stop.
    """
    if not is_cancelled and snapshot.barred is not None:
        return Outcome(
            ticket=ticket,
            ending=Ending.LOST,
            error=f"the ranks did not start: {snapshot.barred.why}",
            node=snapshot.barred.node,
            node_id=snapshot.barred.node_id,
            fault_class=FaultClass.GPU_TAKEN,
        )
    if not is_cancelled and not snapshot.seats and _is_no_room(fault):
        return Outcome(ticket=ticket, ending=Ending.NO_ROOM, error=_one_line(fault))
    causes = _causes(fault)
    dead = [rank for rank in snapshot.silent if rank in causes] or snapshot.silent
    if is_cancelled and not snapshot.reports:
        error = f"it did not stop within {snapshot.grace_s:g} s"
        return Outcome(ticket=ticket, ending=Ending.CANCELLED, error=error, node=snapshot.nodes)
    ranks = _rank_endings(snapshot, dead, causes, fault)
    if dead or not snapshot.reports:
        return replace(_lost(ticket, snapshot, dead, causes, fault, deaths), ranks=ranks)
    first = snapshot.reports[0]
    return Outcome(
        ranks=ranks,
        ticket=ticket,
        ending=Ending.RETURNED if first.error is None else Ending.RAISED,
        answer=first.answer,
        error=None if first.error is None else f"rank {first.rank}: {first.error}",
        node=snapshot.nodes,
    )


def _rank_endings(
    snapshot: GangSnapshot,
    dead: list[int],
    causes: Mapping[int, Exception],
    fault: Exception | None,
) -> tuple[RankEnding, ...]:
    """Return how each rank ended that signed in."""
    reports = {report.rank: (place, report) for place, report in enumerate(snapshot.reports)}
    endings = []
    for rank, seat in sorted(snapshot.seats.items()):
        ending = RankEnding(rank=rank, node=seat.node, pid=seat.pid, is_dead=rank in dead)
        if rank in reports:
            place, report = reports[rank]
            ending = replace(ending, place=place, answer=report.answer, error=report.error)
        elif rank in dead:
            error = f"{seat.describe()} died: {_one_line(causes.get(rank, fault))}"
            ending = replace(ending, error=error)
        endings.append(ending)
    return tuple(endings)


def _is_no_room(fault: Exception | None) -> bool:
    from ray.train import ControllerError
    from ray.train.v2._internal.exceptions import WorkerGroupStartupTimeoutError

    cause = fault.controller_failure if isinstance(fault, ControllerError) else fault
    return isinstance(cause, NoRoom | WorkerGroupStartupTimeoutError)


def _lost(
    ticket: str,
    snapshot: GangSnapshot,
    dead: list[int],
    causes: Mapping[int, Exception],
    fault: Exception | None,
    deaths: RankDeaths,
) -> Outcome:
    import ray

    errors = [*causes.values(), *([fault] if fault else [])]
    lines = [
        f"{snapshot.seats[rank].describe()} died: {_one_line(causes.get(rank, fault))}"
        for rank in dead
    ]
    is_dead = deaths.is_cut_off or snapshot.node_ids - {node.name for node in living_nodes()}
    fault_class = FaultClass.LOST_NODE if is_dead else FaultClass.LOST_PROCESS
    for cause in errors:
        if isinstance(cause, ray.exceptions.OutOfMemoryError):
            fault_class = deaths.fault_class(str(cause), snapshot)
    return Outcome(
        ticket=ticket,
        ending=Ending.OUT_OF_MEMORY if fault_class is FaultClass.OUT_OF_MEMORY else Ending.LOST,
        error="; ".join(lines) or f"the ranks did not start: {_one_line(fault)}",
        node=snapshot.seats[dead[0]].node if dead else None,
        node_id=snapshot.seats[dead[0]].node_id if dead else None,
        fault_class=fault_class,
    )


def _causes(fault: Exception | None) -> dict[int, Exception]:
    """Return what Ray reports of each rank whose process Ray Train found dead."""
    from ray.train import WorkerGroupError
    from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError

    if not isinstance(fault, WorkerGroupError):
        return {}
    return {
        rank: failure.health_check_failure
        for rank, failure in fault.worker_failures.items()
        if isinstance(failure, WorkerHealthCheckFailedError)
    }


def _one_line(fault: Exception | None) -> str:
    """Return a fault of Ray's on one line, without Ray's guesses at common causes or its stacks."""
    import ray
    from ray.train import ControllerError

    if isinstance(fault, ControllerError):
        fault = fault.controller_failure
    if isinstance(fault, ray.exceptions.RayTaskError):
        fault = fault.cause
    if fault is None:
        return "no cause is known"
    return " ".join(str(fault).partition("Some common causes")[0].split())
