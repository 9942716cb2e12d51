"""What a rehearsal found: stage by stage, what would fail, and what it could not rehearse."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum


class StageState(StrEnum):
    """How a stage came out of a rehearsal."""

    HELD = "held"
    """All its jobs ran, and nothing is wrong with what they left."""
    WOULD_FAIL = "would-fail"
    """A job failed, or what it left cannot be used."""
    BLOCKED = "blocked"
    """It reads what failed, or was not reached."""
    NOT_REHEARSED = "not-rehearsed"
    """It cannot be run small."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something that would fail in the study."""

    stage: str
    """The stage."""
    jobs: Sequence[str]
    """Labels of the jobs with this fault."""
    what: str
    """What is wrong, and what to do."""
    where: str
    """File and line of the stage."""


@dataclass(frozen=True, kw_only=True)
class StageOutcome:
    """How one stage came out."""

    stage: str
    """Its name."""
    kind: str
    """Kind of its jobs."""
    state: StageState
    """How it came out."""
    num_jobs: int
    """Jobs that were rehearsed."""
    note: str = ""
    """Why it was not rehearsed, or what to know of it."""


@dataclass(frozen=True, kw_only=True)
class RehearsalReport:
    """What a rehearsal found."""

    study: str
    """Name of the study."""
    stages: Sequence[StageOutcome]
    """Every stage, in the order of the study."""
    faults: Sequence[Fault]
    """What would fail."""
    notes: Sequence[str]
    """What to look at that is no fault."""
    open: Sequence[str]
    """What could not be rehearsed."""
    sizes: Sequence[str]
    """How much less was done than the study does."""
    seconds: float
    """Wall time."""
    processor_seconds: float
    """Processor time of this process and its children."""
    stopped: int | None
    """Exit code of a launch that ended before its jobs did; None where it ran to its end."""
    kept: str | None
    """Root that was kept, to look into; None where all held."""

    @property
    def is_held(self) -> bool:
        """True when all that could be rehearsed ran, and nothing in it would fail."""
        ran = (StageState.HELD, StageState.NOT_REHEARSED)
        return not self.faults and all(stage.state in ran for stage in self.stages)

    @property
    def exit_code(self) -> int:
        """0 when all that could be rehearsed held, else 1; 75 or 130 where it was stopped."""
        return self.stopped or (0 if self.is_held else 1)

    def to_json(self) -> Mapping[str, object]:
        """Return the report as a JSON document."""
        return {"held": self.is_held, **asdict(self)}
