"""What happens to a job when an attempt at it has ended: pure, from how it and earlier ones ended.

Each class of failure has a retry budget of its own, so that a flaky node cannot use up the tries
of a program with a fault, nor the other way round. An attempt without an ending (its launch was
killed) and one that was cancelled count as no failure.
`docs/states.md` draws how endings, results, decisions and states belong together.
"""

from collections.abc import Mapping
from enum import Enum


class Result(Enum):
    """How one attempt ended, as the ledger keeps it."""

    DONE = "done"
    """It published the job's record."""
    REUSED = "reused"
    """Another attempt had published the record first."""
    BUSY = "busy"
    """Another launch is at the same job."""
    LOST = "lost"
    """Its process or node died."""
    PREEMPTED = "preempted"
    """The machine asked it to stop, and it saved its checkpoint."""
    OUT_OF_MEMORY = "out-of-memory"
    """The memory of a device or a host was too small for the job as it was laid out."""
    ERROR = "error"
    """The job raised an error that may or may not happen again."""
    MISTAKE = "mistake"
    """The job raised an error that only the user can fix."""
    NO_ROOM = "no-room"
    """It did not begin: other calls held what it needs of these machines."""
    CANCELLED = "cancelled"
    """Somebody asked it to stop."""


class Consequence(Enum):
    """What happens to a job when one of its attempts has ended."""

    NONE = "none"
    """Nothing: other attempts are still at the job, or it was settled before."""
    FINISH = "finish"
    """The job is done."""
    PARK = "park"
    """Another launch is at the job, or holds what it needs: look again later."""
    CANCEL = "cancel"
    """The job was asked to stop, and no attempt is at it any more."""
    AGAIN = "again"
    """The job is tried once more."""
    GIVE_UP = "give-up"
    """The job has failed."""


RETRIES: Mapping[Result, int] = {
    Result.LOST: 3,
    Result.PREEMPTED: 3,
    Result.OUT_OF_MEMORY: 1,
    Result.ERROR: 1,
    Result.MISTAKE: 0,
}
"""Failures of each class after which a job is tried again; one more, and it has failed.

A lost process is rarely the job's fault; an error may pass once (a full disk, a busy port); a
mistake in the study gives the same error every time. Of preemptions, those in a row count that
found the job no further than the one before. Memory may have been short once because of other
processes; the first attempt in each layout is not counted (see `history`).
"""


def has_spent_retries(failures: Mapping[Result, int]) -> bool:
    """Return True when a job with so many failures of each class is not tried again."""
    return any(failures.get(result, 0) > budget for result, budget in RETRIES.items())


def decide(
    result: Result,
    *,
    is_settled: bool,
    num_others: int,
    is_cancelled: bool,
    failures: Mapping[Result, int],
) -> Consequence:
    """Decide what happens to a job when one of its attempts has ended.

    Args:
        result: how the attempt ended.
        is_settled: whether the job was done, failed or cancelled before.
        num_others: attempts that are still at the same job. They take over what this one was
            doing, so its failure decides nothing; but a mistake of the user would meet them all.
        is_cancelled: whether somebody asked for the job to be cancelled.
        failures: failures of the job that count, by class, this one included.
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
    return Consequence.GIVE_UP if has_spent_retries(failures) else Consequence.AGAIN
