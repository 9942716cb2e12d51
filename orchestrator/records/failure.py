"""What happens to a job when an attempt at it has ended: pure, from whose fault it was.

Only the job's own faults are charged, each class to a retry budget of its own, so that a flaky
process cannot use up the tries of a program with a fault, nor the other way round. A fault of the
surroundings is waited out and charged to nothing, however often it comes. An attempt without an
ending (its launch was killed) and one that was cancelled count as no failure.
`docs/states.md` draws how endings, results, decisions and states belong together.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import Enum

from cluster.fault_classes import FaultClass
from orchestrator.text import first_line


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
    """It did not begin: other calls held what it needs, or the call ended that it waited in."""
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
    WAIT = "wait"
    """The job is tried once more after a pause that grows: its surroundings may come back."""
    GIVE_UP = "give-up"
    """The job has failed."""


class NextTry(Enum):
    """What is done with a job after a failed attempt, as the ledger keeps it (`Ended.decision`)."""

    AGAIN = "again"
    """Tried once more, as it was."""
    ELSEWHERE = "again-elsewhere"
    """Tried once more, on other nodes than the one that it failed on."""
    DEGRADED = "again-degraded"
    """Tried once more, in a layout that needs less memory."""
    FROM_CHECKPOINT = "from-checkpoint"
    """Tried once more, from what it saved."""
    WAIT = "wait"
    """Tried once more after a pause."""
    GIVE_UP = "give-up"
    """Not tried again."""


RETRIES: Mapping[FaultClass, int] = {
    FaultClass.MISTAKE: 0,
    FaultClass.DIVERGED: 0,
    FaultClass.PROGRAM: 1,
    FaultClass.OUT_OF_MEMORY: 1,
    FaultClass.HUNG: 1,
    FaultClass.UNKNOWN: 1,
    FaultClass.LOST_PROCESS: 3,
    FaultClass.PREEMPTED: 3,
    FaultClass.PERMISSION: 8,
}
"""Failures of each class after which a job is tried again; one more, and it has failed.

A mistake in the study, and a run that diverged, end the same way every time; an error may pass
once. A process dies of a crash of its own or of somebody else's: it is charged moderately. A job
that got further than ever before has its budgets back (see `history`), so of preemptions those in a
row count that found it no further. The first attempt in each layout that ran out of memory is not
counted. Credentials may be renewed: they are waited for through eight growing pauses, about eight
minutes in all. Classes that are not here are the surroundings', and cost nothing.
"""

WAITED_FOR = frozenset(FaultClass) - RETRIES.keys() | {FaultClass.PERMISSION}
"""Faults after which a job is tried again after a pause only, because time may mend them."""

WAITS_FOR: Mapping[FaultClass, str] = {
    **dict.fromkeys(FaultClass, "its surroundings"),
    FaultClass.OUT_OF_MEMORY: "memory on this machine",
    FaultClass.HOST_MEMORY: "memory on the host",
    FaultClass.LOST_NODE: "a node in place of the lost one",
    FaultClass.CLUSTER: "the cluster",
    FaultClass.GPU: "a working accelerator",
    FaultClass.GPU_TAKEN: "a GPU that others hold",
    FaultClass.PORT: "a free port",
    FaultClass.COLLATERAL: "all ranks of a job",
    FaultClass.STORAGE_FULL: "room on the storage",
    FaultClass.STORAGE_AWAY: "the storage",
    FaultClass.STORAGE_READ_ONLY: "a storage that takes writes",
    FaultClass.PERMISSION: "permission",
    FaultClass.NETWORK: "the network",
    FaultClass.NO_ROOM: "room beside other launches",
}
"""What is waited for after a fault of each class, in words for people."""

OF_ONE_NODE = frozenset({FaultClass.GPU, FaultClass.GPU_TAKEN})
"""Faults of the node that an attempt was on, and of no other."""
MAYBE_OF_NODE = frozenset(
    {FaultClass.LOST_PROCESS, FaultClass.PROGRAM, FaultClass.UNKNOWN, FaultClass.HUNG}
)
"""Faults that a broken node may be behind: seen from one attempt, it could also be the job."""
REPEATS = frozenset(
    {
        FaultClass.PROGRAM,
        FaultClass.UNKNOWN,
        FaultClass.HUNG,
        FaultClass.LOST_PROCESS,
        FaultClass.OUT_OF_MEMORY,
    }
)
"""Faults that are the job's own when they come twice at one step with one signature."""

_RESULTS = {
    FaultClass.MISTAKE: Result.MISTAKE,
    FaultClass.DIVERGED: Result.MISTAKE,
    FaultClass.OUT_OF_MEMORY: Result.OUT_OF_MEMORY,
    FaultClass.PREEMPTED: Result.PREEMPTED,
    FaultClass.NO_ROOM: Result.NO_ROOM,
    FaultClass.HOST_MEMORY: Result.LOST,
    FaultClass.LOST_PROCESS: Result.LOST,
    FaultClass.LOST_NODE: Result.LOST,
    FaultClass.CLUSTER: Result.LOST,
}
_CLASSES = {
    Result.MISTAKE: FaultClass.MISTAKE,
    Result.OUT_OF_MEMORY: FaultClass.OUT_OF_MEMORY,
    Result.PREEMPTED: FaultClass.PREEMPTED,
    Result.NO_ROOM: FaultClass.NO_ROOM,
    Result.LOST: FaultClass.LOST_PROCESS,
    Result.ERROR: FaultClass.PROGRAM,
}
FAILURES = frozenset(_CLASSES) - {Result.NO_ROOM}
"""Results of attempts that began and failed."""


def describe_wait(fault_class: FaultClass, since: float, message: str) -> str:
    """Say in one line what is waited for, since when (seconds since the epoch), and why."""
    at = datetime.fromtimestamp(since).strftime("%Y-%m-%d %H:%M:%S")
    return f"waiting for {WAITS_FOR[fault_class]} since {at}: {first_line(message)}"


def result_of_class(fault_class: FaultClass) -> Result:
    """Return how an attempt ended that failed by a fault of this class."""
    return _RESULTS.get(fault_class, Result.ERROR)


def class_of_result(result: Result) -> FaultClass | None:
    """Return whose fault a result is where nothing else is known (older ledgers); None if none."""
    return _CLASSES.get(result)


def has_spent_retries(failures: Mapping[FaultClass, int]) -> bool:
    """Return True when a job with so many failures of each class is not tried again."""
    return any(failures.get(fault_class, 0) > budget for fault_class, budget in RETRIES.items())


def is_for_all(fault_class: FaultClass | None) -> bool:
    """Tell whether a fault would meet every attempt at the job, so that none needs to be tried."""
    return fault_class is not None and RETRIES.get(fault_class) == 0


def consequence_of(
    result: Result,
    *,
    fault_class: FaultClass | None = None,
    is_settled: bool,
    num_others: int,
    is_cancelled: bool,
    failures: Mapping[FaultClass, int],
    is_repeated: bool = False,
    has_elsewhere: bool = False,
) -> Consequence:
    """Decide what happens to a job when one of its attempts has ended: whether it is tried again.

    Args:
        result: how the attempt ended.
        fault_class: whose fault it is; None takes what the result says.
        is_settled: whether the job was done, failed or cancelled before.
        num_others: attempts that are still at the same job. They take over what this one was
            doing, so its failure decides nothing; but a mistake of the user would meet them all.
        is_cancelled: whether somebody asked for the job to be cancelled.
        failures: failures of the job that count, by class, this one included.
        is_repeated: whether an attempt before this one ended at the same step in the same way.
        has_elsewhere: whether it is a fault of a node, and another one could hold the job.
    """
    fault_class = fault_class or class_of_result(result)
    if is_settled:
        return Consequence.NONE
    if result in (Result.DONE, Result.REUSED):
        return Consequence.FINISH
    if is_for_all(fault_class):
        return Consequence.GIVE_UP
    if num_others:
        return Consequence.NONE
    if is_cancelled or result is Result.CANCELLED:
        return Consequence.CANCEL
    if result in (Result.BUSY, Result.NO_ROOM):
        return Consequence.PARK
    if is_repeated or has_spent_retries(failures):
        return Consequence.GIVE_UP
    if has_elsewhere and fault_class in OF_ONE_NODE:
        return Consequence.AGAIN
    return Consequence.WAIT if fault_class in WAITED_FOR else Consequence.AGAIN
