"""`Work`: everything a kind may touch while it runs one job."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic

from typing_extensions import TypeVar

from cluster.executor import Surroundings
from cluster.fault_points import fault_point
from jobs.artifacts.artifact import Artifact
from jobs.artifacts.job import AxisValues, Cell
from jobs.liveness.pulse import Pulse
from jobs.worker.attempt_folder import AttemptFolder
from jobs.worker.tracking import Tracker


@dataclass(frozen=True, kw_only=True)
class GatheredInput:
    """One upstream artifact together with where in the grid it stands."""

    stage: str
    """Stage of the upstream job."""
    cell: Cell
    """Its cell."""
    artifact: Artifact
    """What it left behind."""
    values: AxisValues = field(default_factory=dict)
    """The typed values behind the cell; empty where the job that reads it does not gather."""


P_co = TypeVar("P_co", covariant=True, default=Any)


@dataclass(frozen=True, kw_only=True)
class Work(Generic[P_co]):
    """One attempt at one job, as its kind sees it."""

    params: P_co
    """The kind's validated Params."""
    inputs: Mapping[str, Sequence[GatheredInput]]
    """Input name -> upstream artifacts."""
    attempt: AttemptFolder
    """Where to write, and what earlier attempts left."""
    surroundings: Surroundings
    """What may be asked of the place it runs in."""
    tracker: Tracker
    """The mirror of its curves; the metrics of record are files."""
    threads: int
    """Compute threads it runs with."""
    pins: Mapping[str, str] = field(default_factory=dict)
    """What the kind's `pins` gave when the job was planned: what must be found now."""
    worker: int = 0
    """Number of this worker among those that share the job, from 0."""
    num_workers: int = 1
    """Most workers that share the job; 1 where nobody else is at it."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Versions of the interpreter and libraries in force."""
    commit: str | None = None
    """Commit of this code; None when unknown."""
    pulse: Pulse = field(default_factory=Pulse)
    """What this rank is at, for its heartbeats."""

    @property
    def folder(self) -> Path:
        """The local folder to write files into."""
        return self.attempt.path

    def input(self, name: str) -> Artifact:
        """Return the one artifact under an input name."""
        (upstream,) = self.inputs[name]
        return upstream.artifact

    def has(self, name: str) -> bool:
        """Tell whether the study gave this input."""
        return bool(self.inputs.get(name))

    def progress(self, fraction: float | None, doing: str, *, is_training: bool = False) -> None:
        """Report how far the job is (0 to 1, or None when unknown) and what it is doing.

        Training counts its steps itself (`is_training`). Of several ranks only the first one
        reports; the heartbeats of all tell of it.
        """
        if fraction is not None and not is_training:
            fault_point("step")
        self.pulse.note_progress(fraction, doing)
        if self.rank == 0:
            self.attempt.show_progress(fraction, doing)
        else:
            self.attempt.show_log(self.rank, self.num_ranks)

    @property
    def rank(self) -> int:
        """Number of this process among those that do the job together, from 0."""
        return self.surroundings.rank

    @property
    def num_ranks(self) -> int:
        """How many processes do the job together."""
        return self.surroundings.num_ranks

    @property
    def stop_requested(self) -> bool:
        """True once it should checkpoint and return by raising `Stopped`."""
        return self.surroundings.stop_requested()


class Stopped(Exception):
    """Raised by a kind that was asked to stop and has saved what it had."""
