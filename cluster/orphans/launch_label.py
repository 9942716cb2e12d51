"""`LaunchLabel`: by what a process, actor or cluster job is known as that of one launch.

A launch holds its study's lock, so whatever carries the label of an earlier launch of the same
study on the same root has no launch any more. The label names root, study and launch; a process
inherits it from the one that started it, whatever becomes of that.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

VARIABLE = "DELTASCALE_LAUNCHED_BY"
"""Environment variable that holds the label of the launch that a process belongs to."""
GANG_VARIABLE = "DELTASCALE_GANG"
"""The same for the ticket of the gang whose rank a process is, or was started by."""
_current: ContextVar["LaunchLabel | None"] = ContextVar("launch label", default=None)


@dataclass(frozen=True, kw_only=True)
class LaunchLabel:
    """Which launch something belongs to."""

    root: str
    """Identity of the root: its id, and its address, for a root may have been copied."""
    study: str
    """Name of the study."""
    launch: str
    """Id of the launch; ids sort by time."""

    def __str__(self) -> str:
        return "|".join((self.root, self.study, self.launch))

    @classmethod
    def parse(cls, text: str) -> "LaunchLabel | None":
        """Read a label; None where it is none."""
        parts = text.rsplit("|", 2)
        if len(parts) != 3 or not all(parts):
            return None
        return cls(root=parts[0], study=parts[1], launch=parts[2])

    def is_left_by_earlier(self, other: "LaunchLabel | None") -> bool:
        """Tell whether something with another label was left by an earlier launch of this study."""
        return (
            other is not None
            and (other.root, other.study) == (self.root, self.study)
            and other.launch < self.launch
        )


def current_label() -> LaunchLabel | None:
    """Return the label of the launch that this is part of; None outside of any."""
    return _current.get()


@contextmanager
def labelled(label: LaunchLabel) -> Iterator[None]:
    """Have executors that start within the block mark as a launch's whatever they start."""
    token = _current.set(label)
    try:
        yield
    finally:
        _current.reset(token)
