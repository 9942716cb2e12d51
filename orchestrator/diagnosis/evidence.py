"""`evidence.json`: all that is known of a failed attempt, beside what the attempt left.

It is private to the attempt, as its log is: never in the record, never hashed. What is not known is
left out, and older roots have no such files.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from pydantic import ConfigDict, TypeAdapter, with_config

from cluster.checked_json import read_as
from cluster.redaction.redactor import redacted
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from jobs.artifacts.job import Job

VERSION = 1
NAME = "evidence.json"
_LENIENT = ConfigDict(extra="ignore")


@with_config(_LENIENT)
@dataclass(frozen=True, kw_only=True)
class RankEvidence:
    """What is known of one process of an attempt."""

    rank: int = 0
    """Its number, from 0."""
    how: str = ""
    """How it ended: `failed`, `died`, `collateral` (it fell because of another), `ended`."""
    node: str | None = None
    """The machine that it ran on."""
    pid: int | None = None
    """Its number there."""
    device: str | None = None
    """The accelerators that it had, such as `GPU 2`."""
    step: int | None = None
    """The last step or unit that it reported."""
    steps: int | None = None
    """How many there are."""
    unit: str | None = None
    """What a step is, such as `step` or `batch`."""
    exit_code: int | None = None
    """What its process ended with."""
    signal: str | None = None
    """The signal that ended its process."""
    heartbeat: Mapping[str, Any] | None = None
    """Its last heartbeat, as it wrote it."""
    message: str | None = None
    """What it said of itself."""
    signature: str | None = None
    """The signature that its own words match."""
    log: str | None = None
    """Name of its log, relative to the root."""
    log_tail: Sequence[str] = ()
    """The last lines of that log."""
    stack: Sequence[str] = ()
    """Where it raised."""
    stacks: Sequence[str] = ()
    """Names of its dumps of all threads, relative to the root."""
    memory: Mapping[str, float] = field(default_factory=dict)
    """In 10^9 bytes: `process_gb`, `process_peak_gb`, `host_used_gb`, `host_gb`."""
    gpus: Sequence[Mapping[str, Any]] = ()
    """Its accelerators: `gpu`, `name`, `used_gb`, `total_gb`, `process_peak_gb`."""
    others: Sequence[Mapping[str, Any]] = ()
    """The largest other processes of the host: `pid`, `name`, `user`, `gb`."""
    gpu_holders: Sequence[Mapping[str, Any]] = ()
    """Processes on its GPUs: `gpu`, `pid`, `name`, `gb`."""


@with_config(_LENIENT)
@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What is known of one failed attempt: one event, however many ranks fell with it."""

    attempt: str
    """Id of the attempt."""
    key: str
    """Key of its job."""
    job: str = ""
    """Label of its job."""
    ended: float = 0.0
    """When its end was heard of, in seconds since the epoch."""
    seconds: float = 0.0
    """How long it took."""
    result: str = ""
    """How it ended, as the ledger keeps it."""
    fault_class: str | None = None
    """Whose fault it is."""
    reported_class: str | None = None
    """Whose fault the machine or the worker took it for, before words were read."""
    message: str | None = None
    """What it said of itself."""
    signature: str | None = None
    """Name of the signature that matched."""
    matched: str | None = None
    """The line that it matched."""
    remedy: str | None = None
    """What to do."""
    witnesses: Sequence[str] = ()
    """What others than the process say of its end."""
    expected_gb: float | None = None
    """Peak memory that the plan expected, of each accelerator or process, in 10^9 bytes."""
    first: int = 0
    """The rank that failed first."""
    collateral: Sequence[int] = ()
    """Ranks that fell because of it."""
    ranks: Sequence[RankEvidence] = ()
    """Its processes."""
    overdue: Sequence[str] = ()
    """Signatures that took too long to search, and were passed over."""
    version: int = VERSION

    @property
    def cause(self) -> RankEvidence:
        """The rank that failed first."""
        return next((rank for rank in self.ranks if rank.rank == self.first), RankEvidence())

    def to_json(self) -> str:
        """Write it, without secrets and without what is not known."""
        return json.dumps(_known(asdict(self)), indent=1) + "\n"


_SHAPE = TypeAdapter(Evidence)


def evidence_name(storage: Storage, job: Job, attempt: str) -> str:
    """Return the file of an attempt's evidence, relative to the root."""
    return f"{Artifact(storage, job.kind, job.key).attempt_folder(attempt)}/{NAME}"


def keep_evidence(storage: Storage, job: Job, evidence: Evidence) -> None:
    """Write the evidence of an attempt beside what it left.

    Raises:
        SurroundingsError: the storage does not take it.
    """
    name = evidence_name(storage, job, evidence.attempt)
    storage.write(name, evidence.to_json().encode())


def read_evidence(storage: Storage, job: Job, attempt: str) -> Evidence | None:
    """Read the evidence of an attempt; None where there is none, or what there is is damaged."""
    try:
        return read_as(storage, evidence_name(storage, job, attempt), _SHAPE)
    except ValueError:
        return None


def _known(value: Any) -> Any:
    """Leave out what is not known or empty, and secrets, at any depth."""
    if isinstance(value, dict):
        pairs = ((name, _known(inner)) for name, inner in value.items())
        return {name: inner for name, inner in pairs if inner not in (None, "", [], {}, ())}
    if isinstance(value, list | tuple):
        if all(isinstance(inner, str) for inner in value):  # a secret may have several lines
            return redacted("\n".join(value)).split("\n") if value else []
        return [_known(inner) for inner in value]
    return redacted(value) if isinstance(value, str) else value
