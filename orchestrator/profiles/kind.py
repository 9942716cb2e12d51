"""Contract: what a kind of profile declares, and how a launch starts there.

One file per kind in `kinds/`, with a class named after the file (`slurm.py` holds `Slurm`).
"""

import argparse
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from cluster.machine.resources import Resources
from cluster.storage import Storage
from jobs.door import Door
from orchestrator.plan.decided_plan import DecidedPlan
from orchestrator.profiles.profile import Profile
from orchestrator.study.study import Study
from orchestrator.text import pluralize


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the jobs of a launch in this process run."""

    executor: str = "ray"
    """Name of the executor."""
    address: str | None = None
    """Address of a Ray to join; None: start one on this machine."""
    cpus: int | None = None
    """Cores that a Ray of our own may use; None: all."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Variables that are set while the launch runs, and that its jobs see."""
    access: Mapping[str, str] = field(default_factory=dict)
    """Ray's own variables by which it finds its token, instead of those that are set."""


@dataclass(frozen=True, kw_only=True)
class LaunchRequest:
    """What a launch on a profile was asked for."""

    name: str
    """Name of the profile."""
    text: str | None
    """What its file says; None where it has none."""
    root: Storage
    """The output root: `--root`, else that of the profile."""
    study: Study
    """The study."""
    options: argparse.Namespace
    """The words of the command line."""
    fresh: bool
    """Whether failed jobs get a new retry budget (`resume`)."""
    run_here: Callable[[Place], int]
    """Runs the launch in this process, and returns its exit code."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that a queue was asked for."""

    is_good: bool
    """Whether it is as it should be."""
    text: str
    """What was looked at, what there is, and what to do."""
    is_looked_at: bool = True
    """False where it could not be looked at; the text says why."""


@dataclass(frozen=True, kw_only=True)
class PlannedAllocation:
    """One allocation that a launch would ask a queue for."""

    stages: Sequence[str]
    """Its stages, upstream first."""
    nodes: int
    """Number of nodes."""
    partition: str | None
    """Where they are, in the queue's word; None: the queue's own choice."""
    time: str | None
    """Time limit, as the queue writes it; None: the queue's own."""
    why: str
    """Where the time limit comes from."""

    def __str__(self) -> str:
        asked = describe_allocation(self.nodes, self.partition, self.time, self.stages)
        return f"{asked} ({self.why})"


def describe_allocation(
    nodes: int, partition: str | None, time: str | None, stages: Sequence[str]
) -> str:
    """Write an allocation as `2 nodes of gpu, 1-00:00:00 at most: align, measure`."""
    where = f" of {partition}" if partition else ""
    limit = f", {time} at most" if time else ""
    return f"{pluralize(nodes, 'node')}{where}{limit}: {', '.join(stages)}"


class ProfileKind(ABC):
    """A kind of profile."""

    Fields: ClassVar[type[Profile]]
    """Model of the fields of a profile of this kind."""
    SUMMARY: ClassVar[str]
    """Where a launch runs on it, in one line."""
    TEMPLATE: ClassVar[str]
    """Commented YAML that `profile new` writes: valid as it stands."""
    NEEDS_FILE: ClassVar[bool] = True
    """Whether `--on` takes the kind's name only where a file of that name exists."""
    FLAGS: ClassVar[Sequence[str]] = ()
    """Which of `--executor`, `--address` and `--cpus` a launch on it takes."""

    @abstractmethod
    def launch(self, profile: Profile, request: LaunchRequest) -> int:
        """Start a launch of a study, or run it here; return its exit code.

        Args:
            profile: an instance of `Fields`, whose use the user has permitted.
            request: what was asked for.

        Raises:
            UserError: the profile and what was asked for do not go together.
            SurroundingsError: what the profile names cannot be had.
        """

    def place(self, profile: Profile, options: argparse.Namespace) -> Place | None:
        """Return where the jobs of a launch in this process run; None where a queue decides.

        Args:
            profile: an instance of `Fields`.
            options: the words of the command line; those of `FLAGS` win over the profile.

        Raises:
            UserError: what the profile names for it is not there, or the options do not go with it.
        """
        del profile, options
        return None

    def machines(self, profile: Profile) -> list[Resources]:
        """Return the nodes to plan for, without touching any; none where nothing is known."""
        return profile.machines

    def allocations(self, profile: Profile, decided: DecidedPlan) -> list[PlannedAllocation]:
        """Return what a launch would ask a queue for, in order; nothing where there is no queue.

        Args:
            profile: an instance of `Fields`.
            decided: the study, planned for the nodes of the profile.
        """
        del profile, decided
        return []

    def check(self, profile: Profile) -> list[Finding]:
        """Hold what the profile asks of a queue against what the site has; submits nothing.

        Args:
            profile: an instance of `Fields`.
        """
        del profile
        return []

    def uses(self, profile: Profile) -> list[str]:
        """Say what needs the user's permission where somebody else may have written the profile.

        Args:
            profile: an instance of `Fields`.

        Returns:
            One phrase each: code that it has run, variables that it sets, where a token is sent.
        """
        del profile
        return []


PROFILE_KINDS: Door[ProfileKind] = Door(
    "kind of profile", "orchestrator.profiles.kinds", contract=ProfileKind
)
