"""Fields of a profile of kind `slurm`: what may stand in a batch script, checked at reading."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from cluster.slurm.batch_request import MOST_SCRATCH_LETTERS, option_fault
from orchestrator.profiles.environment import Environment, NodePath
from orchestrator.profiles.profile import Nodes, Part, Profile
from orchestrator.quantities import Seconds


def _check_word(written: str) -> str:
    if not written or any(letter.isspace() or letter in "\"'\\#`$;|&<>" for letter in written):
        raise ValueError(f"{written[:60]!r}: write a name without spaces, quotes or signs of shell")
    return written


def _check_length(written: str) -> str:
    if len(written) > MOST_SCRATCH_LETTERS:
        raise ValueError(
            f"{len(written)} letters are too many: Ray's sockets lie below it, whose names are "
            f"short; {MOST_SCRATCH_LETTERS} at most"
        )
    return written


def _check_option(written: str) -> str:
    if fault := option_fault(written):
        raise ValueError(fault)
    return written


Word = Annotated[str, AfterValidator(_check_word)]
"""A name in SLURM."""


class SlurmNodes(Nodes):
    """Nodes of one shape, as SLURM gives them."""

    partition: Word | None = None
    """Partition that they are in; null: that of `limits`, else SLURM's default."""
    gres: Word | None = None
    """Generic resource to ask for, such as `gpu:a100:8`; null: `gpu:` and the number."""
    exclusive: bool = False
    """Whether no other job may be on them: all of a node is asked for."""


class Limits(Part):
    """What one allocation may take, and how the next one comes."""

    time: Seconds | None = None
    """Most time of one allocation; null: the partition's own limit."""
    account: Word | None = None
    """Account that is charged; null: your default one."""
    partition: Word | None = None
    """Partition of nodes that name none; null: SLURM's default."""
    qos: Word | None = None
    """Quality of service; null: your default one."""
    save_before: Seconds = Field(default=300.0, ge=60, le=3600)
    """How long before the limit jobs are asked to save."""
    again: Literal["requeue", "chain"] = "requeue"
    """`requeue`: a job that has not finished goes back into the queue; `chain`: further jobs are
    queued behind it from the start."""
    allocations: int = Field(default=4, ge=1, le=100)
    """With `chain`: how many jobs follow each other at most."""
    idle_starts: int = Field(default=3, ge=1, le=100)
    """Starts in a row without progress after which a study is not started again."""

    @model_validator(mode="after")
    def _require_time_to_work(self) -> Self:
        if self.time is not None and self.time < self.save_before + 60:
            raise ValueError(
                f"of {self.time:g} s, jobs would be asked to save {self.save_before:g} s before "
                "the end: give more time, or less save_before"
            )
        return self


class SlurmProfile(Profile):
    """Fields of a profile of kind `slurm`."""

    kind: Literal["slurm"] = "slurm"
    """`slurm`."""
    nodes: Sequence[SlurmNodes] = ()
    """Shapes of nodes, and how many of each one allocation may have."""
    environment: Environment = Field(default_factory=Environment)
    """What is set up on every node before jobs run."""
    limits: Limits = Field(default_factory=Limits)
    """What one allocation may take."""
    options: Sequence[Annotated[str, AfterValidator(_check_option)]] = ()
    """Further options of sbatch: `--constraint=a100`."""
    scratch: Annotated[NodePath, AfterValidator(_check_length)] | None = None
    """A short path on each node's own disk, for Ray's sockets and logs."""
    interface: Word | None = None
    """Network interface between the nodes, such as `ib0`."""
    start: Literal["guarded", "symmetric-run"] = "guarded"
    """How Ray is started: `guarded` beside whatever else runs on a node; `symmetric-run` by Ray's
    own command, on exclusive nodes alone."""

    @model_validator(mode="after")
    def _require_exclusive(self) -> Self:
        if self.start == "symmetric-run" and not all(shape.exclusive for shape in self.nodes):
            raise ValueError(
                "start: symmetric-run stops every Ray of its nodes by name: say exclusive: true "
                "of all nodes, or leave the guarded start"
            )
        return self
