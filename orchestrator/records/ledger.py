"""The ledger: every event of every attempt of a study, in order; it does not decide what is done.

On a local root one file per launch, appended in batches. Objects of a remote root cannot grow: the
newest is written again, whole, until it is large enough for the next one to begin.
A line that does not parse was left half-written by a crash, and is skipped.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from enum import Enum

from cluster.fault_classes import FaultClass
from cluster.storage import Storage
from orchestrator.records.failure import Result

_SYNC_EVERY_S = 1.0
_PART_BYTES = 256 * 1024
"""Size of one object of a remote ledger: about 1,000 events, so 10,000 jobs are ten requests."""


class LaunchState(Enum):
    """Where the latest launch of a study stands, and so the study."""

    NEW = "new"
    """The study was never launched."""
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


@dataclass(frozen=True, kw_only=True, slots=True)
class LaunchStarted:
    """A launch took the study's lock and began."""

    at: float
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Submitted:
    """One attempt was handed to the executor."""

    at: float
    """Seconds since the epoch."""
    key: str
    """Key of the job."""
    attempt: str
    """Id of the attempt."""
    num_gpus: float = 0
    """Accelerators that the attempt holds, all ranks together."""
    execution: Mapping[str, object] = field(default_factory=dict)
    """Layout that the job's kind chose; empty when it chose none."""
    peak_memory_gb: float | None = None
    """Expected peak memory of each GPU, or else of each process; None if not known."""
    why: str = ""
    """What decided the layout."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """One attempt ended."""

    at: float
    """Seconds since the epoch."""
    key: str
    """Key of the job."""
    attempt: str
    """Id of the attempt."""
    result: Result
    """How the attempt ended."""
    seconds: float
    """Wall time of the attempt, as the worker or else the dispatcher saw it."""
    node: str | None = None
    """The node that it ran on, when known."""
    message: str | None = None
    """What went wrong, without secrets."""
    fraction: float | None = None
    """How far the attempt was when it failed, from 0 to 1; None if it did not, or is not known."""
    fault_class: FaultClass | None = None
    """Whose fault it is that it failed; None where it did not, and in older ledgers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """A job was not tried, because no machine of this launch can hold it."""

    at: float
    """Seconds since the epoch."""
    key: str
    """Key of the job."""
    message: str
    """What the job needs and what the machines have."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LaunchEnded:
    """A launch ended by itself; one that was killed leaves no such event."""

    at: float
    """Seconds since the epoch."""
    launch: str
    """Id of the launch."""
    state: str
    """`complete`, `failed`, `cancelled` or `interrupted`, values of `LaunchState`."""


Event = LaunchStarted | Submitted | Ended | Refused | LaunchEnded

_NAMES: dict[type, str] = {
    LaunchStarted: "launch-started",
    Submitted: "submitted",
    Ended: "ended",
    Refused: "refused",
    LaunchEnded: "launch-ended",
}
_TYPES = {name: event for event, name in _NAMES.items()}


def ledger_folder(study: str) -> str:
    """Return the folder of a study's ledger, relative to the root."""
    return f"studies/{study}/ledger"


class Ledger:
    """The ledger of one launch, open for appending."""

    def __init__(self, storage: Storage, study: str, launch: str) -> None:
        self._storage = storage
        self._name = f"{ledger_folder(study)}/{launch}"
        self._lines: list[str] = []
        self._part = b""
        self._num_parts = 0
        self._descriptor: int | None = None
        self._synced_at = 0.0
        if storage.is_local:
            path = storage.path(f"{self._name}.jsonl")
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)

    def append(self, event: Event) -> None:
        """Add an event, to be written at the next flush."""
        self._lines.append(
            json.dumps({"event": _NAMES[type(event)], **asdict(event)}, default=_plain)
        )

    def flush(self) -> None:
        """Write the added events; they are on disk at most a second later, or at close."""
        if self._lines:
            batch = ("\n".join(self._lines) + "\n").encode()
            self._lines.clear()
            if self._descriptor is None:
                self._part += batch
                self._storage.write(f"{self._name}.{self._num_parts:06d}.jsonl", self._part)
                if len(self._part) >= _PART_BYTES:
                    self._part, self._num_parts = b"", self._num_parts + 1
            else:
                _write_all(self._descriptor, batch)
        if self._descriptor is not None and time.monotonic() - self._synced_at > _SYNC_EVERY_S:
            os.fsync(self._descriptor)
            self._synced_at = time.monotonic()

    def close(self) -> None:
        """Flush, and close the file."""
        self._synced_at = 0.0
        self.flush()
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def read_events(storage: Storage, study: str) -> Iterator[Event]:
    """Yield all events of a study, launch by launch, without holding them in memory."""
    folder = ledger_folder(study)
    for name in storage.list(folder):
        for line in _lines_of(storage, f"{folder}/{name}"):
            event = _parse(line)
            if event is not None:
                yield event


def _lines_of(storage: Storage, name: str) -> Iterator[bytes]:
    if storage.is_local:
        with open(storage.path(name), "rb") as stream:
            yield from stream
    else:
        yield from storage.read(name).splitlines()


def _parse(line: bytes) -> Event | None:
    with suppress(ValueError, KeyError, TypeError):
        values = json.loads(line)
        event = _TYPES[values.pop("event")]
        if event is Ended:
            values["result"] = Result(values["result"])
            values["fault_class"] = _class_named(values.get("fault_class"))
        names = {field.name for field in fields(event)}
        parsed: Event = event(**{name: values[name] for name in values.keys() & names})
        return parsed
    return None


def _class_named(word: object) -> FaultClass | None:
    """Return the class of a word; None for a word of a later version of this code."""
    with suppress(ValueError):
        return FaultClass(word)
    return None


def _plain(value: object) -> object:
    assert isinstance(value, Enum), f"{value!r} has no place in the ledger"
    return value.value


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
