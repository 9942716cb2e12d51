"""Events of a launch and its attempts, as the ledger keeps them: one line of JSON each."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated

from pydantic import ConfigDict, Field, TypeAdapter, with_config

from cluster.checked_json import checked, parse_json
from cluster.fault_classes import FaultClass
from orchestrator.records.failure import Result
from orchestrator.records.injected import Injected

_FINITE = ConfigDict(allow_inf_nan=False)
Moment = Annotated[float, Field(ge=0, le=1e11)]
"""Seconds since the epoch, as far as a date can be written."""
Amount = Annotated[float, Field(ge=-1e12, le=1e12)]
"""Seconds or accelerators."""


class LaunchState(Enum):
    """Where the latest launch of a study stands, and so the study."""

    NEW = "new"
    """The study was never launched, or its latest launch was complete and jobs are to do since: it
    had others, some only, or what they left was damaged or taken away."""
    RUNNING = "running"
    """A launch holds the study's lock."""
    COMPLETE = "complete"
    """Every job is done."""
    FAILED = "failed"
    """Some jobs are not done, and trying on would not help now."""
    CANCELLED = "cancelled"
    """`deltascale cancel` ended it."""
    INTERRUPTED = "interrupted"
    """A signal ended it, or it was killed."""
    SUSPENDED = "suspended"
    """It gave up waiting for its surroundings, or its batch job was nearly over: jobs were asked
    to save, the next launch goes on."""
    OUT_OF_BUDGET = "out-of-budget"
    """Its budget is spent: jobs were asked to save, a launch with a larger one goes on."""


@with_config(_FINITE)
@dataclass(frozen=True, kw_only=True, slots=True)
class LaunchStarted:
    """A launch took the study's lock and began."""

    at: Moment
    """Seconds since the epoch."""
    launch: str
    """Id of the launch; ids sort by time."""
    host: str
    """Machine of the coordinator."""
    pid: int
    """Process id of the coordinator."""
    executor: str
    """Name of the executor that runs the jobs."""
    fresh: bool
    """True when earlier failures no longer count (`resume`)."""
    budget: Mapping[str, float] = field(default_factory=dict)
    """Unit (`gpuh`, `bytes`, or a currency) -> most of it that all launches may spend; empty
    without a budget."""
    chaos: str = ""
    """Faults that it injects on purpose (`--chaos`), in words; empty: none."""
    version: str | None = None
    """Version of deltascale that all attempts of the launch run; None in older ledgers."""
    commit: str | None = None
    """Its commit, with `+` when the code had changes; None outside a checkout."""
    code: str | None = None
    """SHA-256 of its source files, 64 hex digits; None in older ledgers."""


@with_config(_FINITE)
@dataclass(frozen=True, kw_only=True, slots=True)
class Submitted:
    """One attempt was handed to the executor."""

    at: Moment
    """Seconds since the epoch."""
    key: str
    """Key of the job."""
    attempt: str
    """Id of the attempt."""
    num_gpus: Amount = 0
    """Accelerators that the attempt holds, all ranks together."""
    execution: Mapping[str, object] = field(default_factory=dict)
    """Layout that the job's kind chose; empty when it chose none."""
    peak_memory_gb: float | None = None
    """Expected peak memory of each GPU, or else of each process; None if not known."""
    why: str = ""
    """What decided the layout."""
    price: Amount | None = None
    """What holding it costs, an hour; None where no price is known."""
    currency: str | None = None
    """The currency of that price."""


@with_config(_FINITE)
@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """One attempt ended."""

    at: Moment
    """Seconds since the epoch."""
    key: str
    """Key of the job."""
    attempt: str
    """Id of the attempt."""
    result: Result
    """How the attempt ended."""
    seconds: Amount
    """Wall time of the attempt, as the worker or else the dispatcher saw it."""
    node: str | None = None
    """The node that it ran on, when known."""
    message: str | None = None
    """What went wrong, without secrets."""
    fraction: float | None = None
    """How far the attempt was when it failed, from 0 to 1; None if it did not, or is not known."""
    fault_class: FaultClass | None = None
    """Whose fault it is that it failed; None where it did not, and in older ledgers."""
    held: Amount | None = None
    """Seconds from its submission to its end, by the dispatcher's steady clock: so long it held its
    part of the machines; None in older ledgers."""
    peak_gb: Amount | None = None
    """Most host memory that its process held, in 10^9 bytes; None: not measured, as in older
    ledgers."""
    signature: str | None = None
    """Name of the failure signature that matched; None where none did, and in older ledgers."""
    rank: int | None = None
    """The rank that failed first, of several; None where one process was at it, or is not known."""
    step: int | None = None
    """The step or unit that it was at when it failed, from 0; None: not known."""
    exit_code: int | None = None
    """What its process ended with, where that is known and it ended by itself."""
    signal: str | None = None
    """The signal that ended its process, such as `SIGKILL`, where that is known."""
    decision: str | None = None
    """What followed for its job: `again`, `again-elsewhere`, `again-degraded`, `from-checkpoint`,
    `wait` or `give-up`; None where it did not fail, and in older ledgers."""
    decided_by: str | None = None
    """The decision in a sentence, with the numbers that it was taken by."""


@with_config(_FINITE)
@dataclass(frozen=True, kw_only=True, slots=True)
class Renewed:
    """Somebody gave jobs a fresh retry budget (`retry`)."""

    at: Moment
    """Seconds since the epoch."""
    keys: list[str]
    """Keys of the jobs."""


@with_config(_FINITE)
@dataclass(frozen=True, kw_only=True, slots=True)
class Quarantined:
    """A node gets no jobs for a while; said again when that ends early or is prolonged."""

    at: Moment
    """Seconds since the epoch."""
    node: str
    """The node."""
    since: Moment
    """When it began, in seconds since the epoch."""
    until: Moment
    """When it ends; not after `at` where it is over."""
    why: str
    """What was seen, in a sentence."""


@with_config(_FINITE)
@dataclass(frozen=True, kw_only=True, slots=True)
class Holding:
    """A launch is alive, and its attempts hold what they hold: said now and then.

    By this, what attempts of a launch spent that was killed afterwards is not lost.
    """

    at: Moment
    """Seconds since the epoch."""
    seconds: Amount
    """Seconds since it was said last, or since the launch began, by a steady clock."""


@with_config(_FINITE)
@dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """A job was not tried, because no machine of this launch can hold it."""

    at: Moment
    """Seconds since the epoch."""
    key: str
    """Key of the job."""
    message: str
    """What the job needs and what the machines have."""


@with_config(_FINITE)
@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting:
    """The launch began to wait for something around it, or waits no more."""

    at: Moment
    """Seconds since the epoch."""
    fault_class: FaultClass | None = None
    """Whose fault it is; None when nothing is waited for any more."""
    since: Moment | None = None
    """When the wait began, in seconds since the epoch."""
    message: str | None = None
    """What was met, without secrets."""


@with_config(_FINITE)
@dataclass(frozen=True, kw_only=True, slots=True)
class Stopping:
    """The launch, or some of its jobs, are asked to save and stop, and start nothing more."""

    at: Moment
    """Seconds since the epoch."""
    keys: Sequence[str] | None = None
    """Keys of jobs that somebody cancels; None: the launch itself stops."""
    state: str = "cancelled"
    """What it ends as: a value of `LaunchState`."""


@with_config(_FINITE)
@dataclass(frozen=True, kw_only=True, slots=True)
class LaunchEnded:
    """A launch ended by itself; one that was killed leaves no such event."""

    at: Moment
    """Seconds since the epoch."""
    launch: str
    """Id of the launch."""
    state: str
    """`complete`, `failed`, `cancelled`, …: a value of `LaunchState`."""
    why: str | None = None
    """What ended it, in one sentence, where its state does not say it all."""


Event = (
    LaunchStarted
    | Submitted
    | Ended
    | Holding
    | Refused
    | Waiting
    | Renewed
    | Quarantined
    | Injected
    | Stopping
    | LaunchEnded
)

_NAMES: dict[type, str] = {
    LaunchStarted: "launch-started",
    Submitted: "submitted",
    Ended: "ended",
    Holding: "holding",
    Refused: "refused",
    Waiting: "waiting",
    Renewed: "renewed",
    Quarantined: "quarantined",
    Injected: "injected",
    Stopping: "stopping",
    LaunchEnded: "launch-ended",
}
_SHAPES = {name: TypeAdapter[Event](event) for event, name in _NAMES.items()}


class OfAnotherVersion(ValueError):
    """A line is an event, of a name that this version of the code does not know."""


def parse_event(line: bytes) -> Event:
    """Parse a line. Raises ValueError; OfAnotherVersion where it is whole, and of another name."""
    values = parse_json(line)
    if not isinstance(values, dict):
        raise ValueError("it is no event: not a mapping")
    shape = _SHAPES.get(str(values.pop("event", None)))
    if shape is None:
        is_dated = type(values.get("at")) in (int, float)
        raise (OfAnotherVersion if is_dated else ValueError)("it is no event: of no known name")
    if values.get("fault_class") is not None:
        values["fault_class"] = _class_named(values["fault_class"])
    return checked(shape, values)


def _class_named(word: object) -> FaultClass | None:
    """Return the class of a word; None for a word of a later version of this code."""
    with suppress(ValueError):
        return FaultClass(word)
    return None


def line_of(event: Event) -> str:
    """Write an event as one line of JSON."""
    return json.dumps({"event": _NAMES[type(event)], **_fields_of(event)}, default=_plain)


def _fields_of(event: Event) -> dict[str, object]:
    """Return name -> value; unlike `asdict`, without a copy of everything in it."""
    return {name: getattr(event, name) for name in event.__dataclass_fields__}


def _plain(value: object) -> object:
    assert isinstance(value, Enum), f"{value!r} has no place in the ledger"
    return value.value
