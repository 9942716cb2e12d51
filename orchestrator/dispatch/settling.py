"""What the end of one attempt means for its job: pure, from how it ended and who else is at it."""

from collections.abc import Mapping
from enum import Enum

from orchestrator.records.failure import Result, Verdict, decide


class Consequence(Enum):
    """What follows for the job."""

    NONE = "none"
    """Nothing: others are still at it, or it was settled before."""
    FINISH = "finish"
    """It is done."""
    PARK = "park"
    """Another launch is at it, or in its way: ask again later."""
    CANCEL = "cancel"
    """It was asked to stop, and nobody is at it any more."""
    AGAIN = "again"
    """It is tried once more."""
    GIVE_UP = "give-up"
    """It has failed."""


def consequence(
    result: Result,
    *,
    is_settled: bool,
    num_others: int,
    is_cancelled: bool,
    failures: Mapping[Result, int],
) -> Consequence:
    """What follows from the end of one attempt.

    Args:
        result: how it ended.
        is_settled: whether the job was done, dropped or cancelled before.
        num_others: attempts that are still at the same job. What one of several workers was doing
            is taken over by the others, so its failure decides nothing; a mistake is everyone's.
        is_cancelled: whether somebody asked for the job to be cancelled.
        failures: failures of the job that count, this one included.
    """
    if is_settled:
        return Consequence.NONE
    if result in (Result.DONE, Result.REUSED):
        return Consequence.FINISH
    if result is Result.MISTAKE:
        return Consequence.GIVE_UP
    if num_others:
        return Consequence.NONE
    if is_cancelled or result is Result.CANCELLED:
        return Consequence.CANCEL
    if result in (Result.BUSY, Result.NO_ROOM):
        return Consequence.PARK
    return Consequence.AGAIN if decide(failures) is Verdict.AGAIN else Consequence.GIVE_UP
