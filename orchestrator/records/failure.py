"""What to do after an attempt ended without a record: pure, from how it ended and what came before.

Each class of failure has a budget of its own, so that a flaky node cannot use up the tries of a
program with a fault, nor the other way round. An attempt without an ending (its launch was killed)
and one that was cancelled are charged to nothing.
"""

from collections.abc import Mapping
from enum import Enum


class Result(Enum):
    """How one attempt ended, as the ledger keeps it."""

    DONE = "done"
    """Its record stands."""
    REUSED = "reused"
    """Somebody else's record stood there first."""
    BUSY = "busy"
    """Another launch is at the same job."""
    LOST = "lost"
    """Its process or node died under it."""
    PREEMPTED = "preempted"
    """The machine asked it to stop, and it saved what it had."""
    OUT_OF_MEMORY = "out-of-memory"
    """A device's or a host's memory did not hold it as it was laid out."""
    ERROR = "error"
    """The job raised something that may or may not happen again."""
    MISTAKE = "mistake"
    """The job raised what only the user can mend."""
    NO_ROOM = "no-room"
    """It did not begin: what others hold on these machines was in its way."""
    CANCELLED = "cancelled"
    """It was asked to stop."""


class Verdict(Enum):
    """What follows from a failure."""

    AGAIN = "again"
    """Try once more."""
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

A lost process is rarely the job's doing; an exception may pass once (a full disk, a busy port);
the same mistake in the study gives the same error every time. Of preemptions those in a row count
that found the job no further than the one before. Memory may have been short because of a
neighbour, once; an attempt that is laid out as none before it is not charged (see `history`).
"""


def decide(failures: Mapping[Result, int]) -> Verdict:
    """Whether to try again after so many failures of each class, the latest included."""
    spent = any(failures.get(result, 0) > budget for result, budget in RETRIES.items())
    return Verdict.GIVE_UP if spent else Verdict.AGAIN
