"""Contract: what a check of the doctor declares. Checks live in `checks/`, one per file.

A check asks nodes by looks (`cluster/fitness/looks/`), which have time limits of their own, and
judges what they answered.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from jobs.door import Door
from orchestrator.doctor.site import Site


class Verdict(Enum):
    """What a check makes of what it saw."""

    OK = "ok"
    """As it should be."""
    WARNING = "warning"
    """Jobs run, but slower, or something will go wrong one day."""
    BAD = "bad"
    """Jobs will fail, or their results cannot be trusted."""
    UNCHECKED = "not checked"
    """It was not looked at; the value says why."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One thing that was looked at."""

    value: str
    """What was seen, and where; or why nothing was."""
    verdict: Verdict
    """What it means for jobs."""
    remedy: str | None = None
    """What to do, where something is to be done."""


def ok(value: str) -> Line:
    """Return a line on what is as it should be."""
    return Line(value=value, verdict=Verdict.OK)


def warning(value: str, remedy: str) -> Line:
    """Return a line on what jobs can live with."""
    return Line(value=value, verdict=Verdict.WARNING, remedy=remedy)


def bad(value: str, remedy: str) -> Line:
    """Return a line on what jobs will fail of."""
    return Line(value=value, verdict=Verdict.BAD, remedy=remedy)


def unchecked(why: str, remedy: str | None = None) -> Line:
    """Return a line on what was not looked at, and why."""
    return Line(value=why, verdict=Verdict.UNCHECKED, remedy=remedy)


class Check(ABC):
    """One check."""

    ORDER: ClassVar[int]
    """Place among the checks, smallest first."""
    OF_NODES: ClassVar[bool] = True
    """Whether only the nodes that jobs run on can say it: a login node is not asked for them."""
    LIMIT_S: ClassVar[float] = 60.0
    """How long it may take, in seconds, once the nodes have answered for the first time."""
    IF_BROKEN: ClassVar[str | None] = None
    """What to do where the check itself hangs or fails, as jobs will then: that is bad. None: jobs
    may do without what it looks at, and it counts as not checked."""

    @abstractmethod
    def lines(self, site: Site) -> Iterable[Line]:
        """Look, and say what was seen: at least one line.

        Args:
            site: what to look at.
        """


CHECKS: Door[Check] = Door("check", "orchestrator.doctor.checks", contract=Check)
"""Checks of the doctor, one per file: `checks/NAME.py`."""
