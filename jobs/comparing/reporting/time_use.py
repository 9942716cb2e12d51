"""`TimeUse`: when the attempts of a study ran, where, and what came of them; sums over it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum


class Fate(Enum):
    """What came of an attempt, as far as its hours go."""

    DONE = "done"
    """Its job was done by it, or found done."""
    FAILED = "failed"
    """It failed, or its process or launch was lost: it was for nothing, but for a checkpoint."""
    STOPPED = "stopped"
    """It was asked to stop, and had saved what it could."""
    RUNNING = "running"
    """It had not ended."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """One attempt; times in seconds since the epoch."""

    stage: str
    """Stage of its job."""
    label: str
    """How people read its job."""
    node: str
    """Machine that it ran on; empty where that is not known."""
    submitted: float
    """When it was handed to the executor."""
    began: float
    """When its work began; before that it waited."""
    ended: float
    """When it ended, or was seen last."""
    fate: Fate
    """What came of it."""
    num_gpus: float = 0.0
    """Accelerators that it held."""
    held_s: float = 0.0
    """Seconds for which it held its part of the machines."""
    why: str = ""
    """What went wrong, in a few words."""

    @property
    def gpu_hours(self) -> float:
        """Accelerators times hours."""
        return self.num_gpus * self.held_s / 3600


@dataclass(frozen=True, kw_only=True)
class Wait:
    """A time in which the launch waited for something around it."""

    began: float
    """When it began, in seconds since the epoch."""
    ended: float
    """When it was over."""
    why: str
    """What for."""


@dataclass(frozen=True, kw_only=True)
class Reused:
    """Jobs of a stage that were done before, by another study or under another ledger."""

    jobs: int
    """How many."""
    hours: float | None
    """Hours that they took then; None where that was not looked up."""
    gpu_hours: float | None = None
    """Accelerators times hours that they took then."""


@dataclass(frozen=True, kw_only=True)
class TimeUse:
    """What the ledger of a study says of its time."""

    spans: Sequence[Span] = ()
    """Its attempts."""
    launches: Sequence[tuple[float, float]] = ()
    """Begin and end of each launch."""
    waits: Sequence[Wait] = ()
    """What launches waited for."""
    stages: Sequence[str] = ()
    """All stages, in the order of the study."""
    reused: Mapping[str, Reused] = field(default_factory=dict)
    """Stage -> its jobs that were done before."""


@dataclass(frozen=True, kw_only=True)
class Sums:
    """A line of a table of hours."""

    name: str
    """Stage or node."""
    attempts: int
    """Attempts that were made."""
    failed: int
    """Of those, how many failed."""
    hours: float
    """Hours that attempts worked."""
    waited: float
    """Hours that attempts waited before their work began."""
    gpu_hours: Mapping[Fate, float]
    """What came of them -> accelerators times hours."""
    lost_hours: float
    """Hours that failed attempts worked."""
    reused: Reused | None = None
    """Jobs that were done before; None where that has no meaning."""

    @property
    def used(self) -> float:
        """Accelerators times hours of all attempts."""
        return sum(self.gpu_hours.values())


def by_stage(use: TimeUse) -> list[Sums]:
    """Return a line per stage, in the study's order, and one for all."""
    reused = use.reused
    stages = list(dict.fromkeys([*use.stages, *(span.stage for span in use.spans)]))
    none = Reused(jobs=0, hours=0.0, gpu_hours=0.0)
    lines = [
        _sums(
            stage, [span for span in use.spans if span.stage == stage], use.reused.get(stage, none)
        )
        for stage in stages
    ]
    whole = Reused(
        jobs=sum(each.jobs for each in reused.values()),
        hours=_total([each.hours for each in reused.values()]),
        gpu_hours=_total([each.gpu_hours for each in reused.values()]),
    )
    return [*lines, _sums("all", use.spans, whole)]


def by_node(use: TimeUse) -> list[Sums]:
    """Return a line per node, those with the most hours first."""
    groups: dict[str, list[Span]] = {}
    for span in use.spans:
        groups.setdefault(span.node or "not known", []).append(span)
    lines = [_sums(node, spans, None) for node, spans in groups.items()]
    return sorted(lines, key=lambda line: (-line.hours, line.name))


def _sums(name: str, spans: Sequence[Span], reused: Reused | None) -> Sums:
    failed = [span for span in spans if span.fate is Fate.FAILED]
    return Sums(
        name=name,
        attempts=len(spans),
        failed=len(failed),
        hours=_hours(spans, lambda span: span.ended - span.began),
        waited=_hours(spans, lambda span: span.began - span.submitted),
        gpu_hours={
            fate: sum(span.gpu_hours for span in spans if span.fate is fate) for fate in Fate
        },
        lost_hours=_hours(failed, lambda span: span.ended - span.began),
        reused=reused,
    )


def _hours(spans: Sequence[Span], seconds: Callable[[Span], float]) -> float:
    return sum(max(0.0, seconds(span)) for span in spans) / 3600


def _total(amounts: Sequence[float | None]) -> float | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if len(known) == len(amounts) else None
