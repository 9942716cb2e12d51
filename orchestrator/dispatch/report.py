"""`Report`: what one launch came to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum


class LaunchState(Enum):
    """How a launch ended."""

    COMPLETE = "complete"
    """Every job is done."""
    FAILED = "failed"
    """Some are not, and trying on would not help now."""
    CANCELLED = "cancelled"
    """`deltascale cancel` ended it."""
    INTERRUPTED = "interrupted"
    """A signal ended it."""


_EXIT_CODES = {
    LaunchState.COMPLETE: 0,
    LaunchState.FAILED: 1,
    LaunchState.CANCELLED: 130,
    LaunchState.INTERRUPTED: 130,
}


@dataclass(frozen=True, kw_only=True)
class Report:
    """What one launch came to; jobs are given by key."""

    state: LaunchState
    """How it ended."""
    ran: Sequence[str]
    """Jobs that this launch did."""
    reused: Sequence[str]
    """Jobs that were done before, or that another launch did meanwhile."""
    failed: Mapping[str, str]
    """Job -> what its last attempt said."""
    blocked: Mapping[str, str]
    """Job -> which failed or cancelled job it needs."""
    cancelled: Sequence[str]
    """Jobs that were cancelled one by one."""
    waiting: Sequence[str]
    """Jobs that were not reached."""
    num_attempts: int
    """Attempts submitted."""
    seconds: float
    """Wall time."""

    @property
    def exit_code(self) -> int:
        """Exit code of the command."""
        return _EXIT_CODES[self.state]
