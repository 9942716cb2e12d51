"""`Answer`: what a worker says of its attempt. It crosses processes as JSON.

An executor reports only what a process cannot say of itself.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from cluster.errors import DeltascaleError, OutOfMemory, SurroundingsError, UserError
from cluster.fault_classes import FaultClass
from cluster.machine.import_faults import import_fault
from cluster.redaction.redactor import redacted
from jobs.worker.assignment import check_version
from jobs.worker.whose_fault import class_of

VERSION = 2
"""Version of the JSON; both sides must agree on it."""


class State(Enum):
    """How an attempt ended, as far as its worker can say."""

    DONE = "done"
    """It published the record."""
    REUSED = "reused"
    """A record existed already."""
    BUSY = "busy"
    """Another attempt holds the claim."""
    STOPPED = "stopped"
    """It was asked to stop, and saved what it had."""
    INTERRUPTED = "interrupted"
    """It was ended by an interrupt; what it had saved by then is kept."""
    FAILED = "failed"
    """It raised an error."""


class Code(Enum):
    """What kind of error it is, as earlier versions tell them apart; `FaultClass` is finer."""

    OUT_OF_MEMORY = "out_of_memory"
    """Memory ran out: another layout may fit."""
    USER_MISTAKE = "user_mistake"
    """Only the user can mend it: trying again cannot help."""
    SURROUNDINGS = "surroundings"
    """Of the machine, the storage or the network: it may pass."""
    FAULT = "fault"
    """Anything else."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Why an attempt failed."""

    code: Code
    """Whose the error is."""
    message: str
    """What went wrong, without secrets."""
    fault_class: FaultClass = FaultClass.UNKNOWN
    """Whose fault it is, which decides what it costs the job and what is waited for."""

    @classmethod
    def of(
        cls,
        error: Exception | SystemExit,
        own_place: str | None = None,
        own_entries: Sequence[str] = (),
    ) -> "Fault":
        """Describe an error that a job raised.

        Args:
            error: the error.
            own_place: `file:line` of code that the study brings along and that it went through:
                then what would be a fault of the program is the user's to mend.
            own_entries: entries of the study's own that the job used: what they return is used by
                code of the program, where the error then is.
        """
        is_ours = isinstance(error, DeltascaleError)
        text = str(error) if is_ours else f"{type(error).__name__}: {error}"
        fault_class = class_of(error)
        if (imported := import_fault(error, os.environ)) is not None:
            text = f"{text} ({imported})"
            if imported.is_certain and fault_class is FaultClass.PROGRAM:
                text = f"{imported}: {' '.join(f'{type(error).__name__}: {error}'.split())}"
                fault_class = FaultClass.MISTAKE
        if own_place is not None and not is_ours:
            text = f"{text} (in {own_place})"
            if fault_class is FaultClass.PROGRAM:
                fault_class = FaultClass.MISTAKE
        elif own_entries and fault_class is FaultClass.PROGRAM:
            text = f"{text} (the job used the study's own {', '.join(own_entries)})"
        code = next((code for kind, code in _CODES if isinstance(error, kind)), None)
        code = code or _CODES_OF_CLASSES.get(fault_class, Code.SURROUNDINGS)
        return cls(code=code, message=redacted(text), fault_class=fault_class)

    def to_json(self) -> dict[str, str]:
        """Return the fault as JSON."""
        return {
            "code": self.code.value,
            "message": self.message,
            "fault_class": self.fault_class.value,
        }

    @classmethod
    def from_json(cls, written: Mapping[str, str]) -> "Fault":
        """Read what `to_json` wrote; where it names no class, the code says whose fault it is."""
        code = Code(written["code"])
        word = written.get("fault_class")
        fault_class = FaultClass(word) if word else _CLASSES_OF_CODES[code]
        return cls(code=code, message=written["message"], fault_class=fault_class)


_CODES: tuple[tuple[type[Exception], Code], ...] = (
    (OutOfMemory, Code.OUT_OF_MEMORY),
    (UserError, Code.USER_MISTAKE),
    (SurroundingsError, Code.SURROUNDINGS),
)
_CODES_OF_CLASSES = {
    FaultClass.OUT_OF_MEMORY: Code.OUT_OF_MEMORY,
    FaultClass.MISTAKE: Code.USER_MISTAKE,
    FaultClass.PROGRAM: Code.FAULT,
}
_CLASSES_OF_CODES = {
    Code.OUT_OF_MEMORY: FaultClass.OUT_OF_MEMORY,
    Code.USER_MISTAKE: FaultClass.MISTAKE,
    Code.SURROUNDINGS: FaultClass.UNKNOWN,
    Code.FAULT: FaultClass.PROGRAM,
}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one attempt came to."""

    state: State
    """How it ended."""
    seconds: float = 0.0
    """Wall time of the attempt; 0 where nothing was attempted."""
    fault: Fault | None = None
    """Why it failed; None where it did not."""
    node: str | None = None
    """The node that it failed on, of several that ranks ran on; None where that is not known."""
    turn_s: float | None = None
    """How long it put off the jobs behind it in its call, in seconds: not while it was published
    beside them. None: all of its `seconds`."""
    peak_gb: float | None = None
    """Most host memory that its process held meanwhile, in 10^9 bytes; None: not measured."""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    """What it knows of its failure (`jobs/worker/evidence.py`); empty where it did not fail."""

    def __post_init__(self) -> None:
        assert (self.state is State.FAILED) == (self.fault is not None), self

    @property
    def has_stopped(self) -> bool:
        """Whether it came to its end because it was asked to."""
        return self.state in (State.STOPPED, State.INTERRUPTED)

    def to_json(self) -> str:
        """Write the answer for another process."""
        error = self.fault and self.fault.to_json()
        written: dict[str, Any] = {
            "state": self.state.value,
            "seconds": self.seconds,
            "error": error,
        }
        written |= {"node": self.node} if self.node else {}
        written |= {"turn_s": self.turn_s} if self.turn_s is not None else {}
        written |= {"peak_gb": self.peak_gb} if self.peak_gb else {}
        written |= {"evidence": self.evidence} if self.evidence else {}
        return json.dumps({"version": VERSION, **written})

    @classmethod
    def from_json(cls, text: str) -> "Answer":
        """Read what `to_json` wrote.

        Raises:
            SurroundingsError: another version of this code wrote it.
        """
        written = json.loads(text)
        check_version(written.get("version"), VERSION, "answer")
        error = written["error"]
        return cls(
            state=State(written["state"]),
            seconds=written["seconds"],
            fault=error and Fault.from_json(error),
            node=written.get("node"),
            turn_s=written.get("turn_s"),
            peak_gb=written.get("peak_gb"),
            evidence=written.get("evidence") or {},
        )
