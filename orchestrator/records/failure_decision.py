"""What is done with a job after a failure, in one word and one sentence with its numbers: pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from cluster.fault_classes import FaultClass
from orchestrator.records.events import Ended
from orchestrator.records.failure import RETRIES, WAITS_FOR, Consequence, NextTry, class_of_result
from orchestrator.records.job_history import JobHistory

NOT_AGAIN = "not tried again"
"""How the sentence of every failure begins that ends a job."""


_CAUSES: Mapping[FaultClass, str] = {
    FaultClass.MISTAKE: "a mistake in study or data",
    FaultClass.DIVERGED: "a run that diverged",
    FaultClass.PROGRAM: "an error of the program",
    FaultClass.OUT_OF_MEMORY: "lack of memory",
    FaultClass.HUNG: "lack of progress",
    FaultClass.UNKNOWN: "an unknown fault",
    FaultClass.LOST_PROCESS: "a process that died",
    FaultClass.PREEMPTED: "a machine that was wanted back",
    FaultClass.PERMISSION: "a permission that was refused",
}
"""What each class that is charged to a job is, in words for people."""


@dataclass(frozen=True, kw_only=True)
class FailureDecision:
    """What is done with a job after one of its attempts failed."""

    what: NextTry
    """In one word."""
    by: str
    """Why, in a sentence with the numbers."""


def explain(
    event: Ended, consequence: Consequence, past: JobHistory, *, elsewhere: str | None
) -> FailureDecision | None:
    """Say what is done about a failure; None where nothing follows from it.

    Args:
        event: the failure.
        consequence: what happens to the job.
        past: of the job, with the failure.
        elsewhere: the nodes that the job does not go to, and for how long; None where there are
            none.
    """
    fault_class = event.fault_class or class_of_result(event.result) or FaultClass.UNKNOWN
    if consequence is Consequence.GIVE_UP:
        return FailureDecision(what=NextTry.GIVE_UP, by=_why_given_up(event, fault_class, past))
    if consequence is Consequence.WAIT:
        also = f", and {elsewhere}" if elsewhere else ""
        return FailureDecision(
            what=NextTry.WAIT,
            by=f"waits for {WAITS_FOR[fault_class]}: {_charge(fault_class, past)}{also}",
        )
    if consequence is not Consequence.AGAIN:
        return None
    what, how = NextTry.AGAIN, "tried once more"
    if _has_next_layout(fault_class, past):
        what, how = NextTry.DEGRADED, "tried in a layout that needs less memory, where there is one"
    elif elsewhere:
        what, how = NextTry.ELSEWHERE, f"tried {elsewhere}"
        how += f", from {event.fraction:.0%}" if event.fraction else ""
    elif event.fraction:
        what, how = NextTry.FROM_CHECKPOINT, f"goes on from what it saved of {event.fraction:.0%}"
    return FailureDecision(what=what, by=f"{how}: {_charge(fault_class, past)}")


def _has_next_layout(fault_class: FaultClass, past: JobHistory) -> bool:
    laid_out = past.submitted.execution if past.submitted else {}
    return fault_class is FaultClass.OUT_OF_MEMORY and bool(laid_out)


def _why_given_up(event: Ended, fault_class: FaultClass, past: JobHistory) -> str:
    if past.repeated is not None:
        where = f"step {event.step}" if event.step is not None else f"{event.fraction or 0:.0%}"
        return (
            f"{NOT_AGAIN}: it failed at {where} in the same way as attempt {past.repeated} "
            "before: one more would end there, too"
        )
    if RETRIES.get(fault_class) == 0:
        return f"{NOT_AGAIN}: without a change it would end the same way"
    return f"{NOT_AGAIN}: its retries are spent: {_charge(fault_class, past)}"


def _charge(fault_class: FaultClass, past: JobHistory) -> str:
    if fault_class not in RETRIES:
        return "that is not charged to the job"
    num = past.failures.get(fault_class, 0)
    return (
        f"failures by {_CAUSES[fault_class]} so far: {num}; {RETRIES[fault_class] + 1} end the job"
    )
