"""`Heartbeat`: what one rank of a running attempt says of itself every few seconds.

Each rank replaces one small file, `alive/<rank>.json` in its attempt. The counter of beats proves
that the process lives; the number of steps proves that it gets on. Who watches measures both by
a steady clock of its own, so that the clocks of nodes need not agree.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import Enum

from pydantic import ConfigDict, TypeAdapter, with_config

from cluster.checked_json import read_as
from cluster.disk.disk_faults import ForeignEntry
from cluster.errors import SurroundingsError
from cluster.storage import Storage

FOLDER = "alive"
"""Folder of an attempt that holds the heartbeats of its ranks."""


class Phase(Enum):
    """What a running attempt is really doing."""

    QUEUED = "queued"
    """It was submitted and has not begun. Nobody writes this: it is what no heartbeat means."""
    PLACING = "placing"
    """It has begun, and waits for its inputs or for its other ranks."""
    LOADING = "loading"
    """It reads models and data."""
    COMPILING = "compiling"
    """It does its first step, which also compiles, captures and tunes."""
    STEPPING = "stepping"
    """It does the steps that it counts."""
    VALIDATING = "validating"
    """It is between two steps, and measures what it trains."""
    SAVING = "saving"
    """It writes a checkpoint or what it leaves behind."""
    WORKING = "working"
    """It does something that counts no steps."""


@with_config(ConfigDict(allow_inf_nan=False))
@dataclass(frozen=True, kw_only=True)
class Heartbeat:
    """What one rank said of itself; what is not known is None."""

    rank: int
    """Number of the rank, from 0."""
    beat: int
    """How many beats there were before: it proves that the process lives."""
    node: str = ""
    """The machine, as outcomes of calls name it."""
    pid: int = 0
    """Its process, as numbered on that machine."""
    started: int = 0
    """When that process started, in ticks since its machine was booted; 0 where not known."""
    thread: int = 0
    """Its thread that does the work, as Python numbers it; 0 where not known."""
    is_over: bool = False
    """Whether the process is through with the attempt: by now it may be at another one."""
    phase: Phase = Phase.PLACING
    """What it is doing."""
    since: float = 0.0
    """Since when, in seconds since the epoch by its own clock."""
    step: int | None = None
    """Steps that are done."""
    steps: int | None = None
    """Steps that there are in all."""
    unit: str | None = None
    """What a step is, such as `step`, `batch`, `layer`."""
    rate: float | None = None
    """Steps a second, lately."""
    tokens: int | None = None
    """Tokens that it has worked through since the attempt began, where they are counted."""
    longest_s: float | None = None
    """The longest step so far, in seconds, the first of this process left out."""
    median_s: float | None = None
    """The median of the latest steps, in seconds."""
    idle_s: float | None = None
    """Seconds since the last step ended or the phase began."""
    memory_gb: float | None = None
    """Host memory that the process holds, in 10^9 bytes."""
    gpu_memory_gb: float | None = None
    """Memory that torch holds for it on its accelerators, the sum in 10^9 bytes; with what it keeps
    for later, without what the driver needs itself. None where it has used none."""
    gpu_use: float | None = None
    """Share of the time that its accelerators were busy, by whomever, from 0 to 1: the mean over
    them, as the driver said it last. None where it does not say, as of MIG parts."""

    def to_json(self) -> str:
        """Return what is known, as it is written."""
        known = {name: value for name, value in asdict(self).items() if value is not None}
        return json.dumps({**known, "phase": self.phase.value})


_HEARTBEAT = TypeAdapter(Heartbeat)


def heartbeat_name(attempt_folder: str, rank: int) -> str:
    """Return the file that a rank writes its heartbeat to."""
    return f"{attempt_folder}/{FOLDER}/{rank}.json"


def read_heartbeats(storage: Storage, attempt_folder: str) -> Sequence[Heartbeat]:
    """Read the last heartbeat of every rank of an attempt, by rank, but what is damaged or foreign.

    Raises:
        SurroundingsError: the storage does not answer.
    """
    folder = f"{attempt_folder}/{FOLDER}"
    try:
        beats = [_read(storage, f"{folder}/{name}") for name in storage.list(folder)]
    except ForeignEntry:
        return ()
    return sorted((beat for beat in beats if beat), key=lambda beat: beat.rank)


def last_heartbeats(storage: Storage, attempt_folder: str) -> Sequence[Heartbeat]:
    """Read as `read_heartbeats` does, for who only shows them: none where the storage is away."""
    try:
        return read_heartbeats(storage, attempt_folder)
    except SurroundingsError:
        return ()


def _read(storage: Storage, name: str) -> Heartbeat | None:
    if not name.endswith(".json"):
        return None  # being written
    try:
        return read_as(storage, name, _HEARTBEAT)
    except ValueError:
        return None
