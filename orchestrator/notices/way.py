"""Contract: a way of telling people of a launch. One file per way in `ways/`.

A way is asked on a thread of its own, and may fail or hang: that costs the launch nothing.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from jobs.door import Door


class Occasion(Enum):
    """What is told of."""

    FAILURE = "failure"
    """A job failed for good."""
    WAIT = "wait"
    """The launch waits for its surroundings, and has for long."""
    QUARANTINE = "quarantine"
    """Nothing is sent to a node any more."""
    END = "end"
    """The launch ended, however it did."""
    TEST = "test"
    """Somebody tries whether messages arrive."""


@dataclass(frozen=True, kw_only=True)
class Notice:
    """One message, without secrets and without rows of data."""

    occasion: Occasion
    """What it tells of."""
    study: str
    """Name of the study."""
    title: str
    """One line."""
    text: str = ""
    """More lines; may be empty."""

    def __str__(self) -> str:
        return f"{self.title}\n{self.text}".strip()


class NotSent(Exception):
    """A way did not take a notice.

    Args:
        why: what happened, without what the way holds secret.
        is_final: whether trying again cannot help.
    """

    def __init__(self, why: str, *, is_final: bool = False) -> None:
        super().__init__(why)
        self.is_final = is_final


class Way(ABC):
    """A way of telling people."""

    SUMMARY: ClassVar[str]
    """How it tells, in one line."""
    REFERENCE: ClassVar[str | None] = None
    """What is written behind its name and a colon; None: nothing is."""

    def check(self, reference: str) -> None:
        """Check how a reference is written, without following it.

        Raises:
            UserError: it is none of this way.
        """
        del reference

    @abstractmethod
    def uses(self, reference: str) -> str:
        """Say what it does in the user's name, for a question: `runs ~/bin/tell`."""

    @abstractmethod
    def require(self, reference: str) -> None:
        """Check that what a reference names is there and may be used.

        Raises:
            UserError: it is not.
        """

    @abstractmethod
    def send(self, reference: str, notice: Notice) -> None:
        """Send a notice.

        Raises:
            NotSent: it was not taken.
            UserError: what the reference names is not there.
        """


WAYS: Door[Way] = Door("way of telling", "orchestrator.notices.ways", contract=Way)
