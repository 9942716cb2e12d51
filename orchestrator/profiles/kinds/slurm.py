"""Kind `slurm`: a batch script per allocation, handed to SLURM from a login node.

In the allocation the same `launch` runs as anywhere, on the Ray that the script starts.
"""

from collections.abc import Sequence
from typing import Annotated, Literal, Self, cast

from pydantic import AfterValidator, Field, model_validator

from orchestrator.profiles.environment import Environment
from orchestrator.profiles.kind import LaunchRequest, ProfileKind
from orchestrator.profiles.profile import Nodes, Part, Profile
from orchestrator.profiles.quantities import Seconds

_TEMPLATE = """\
kind: slurm                     # batch scripts, submitted from a login node
root: /scratch/me/deltascale    # what all nodes share (write yours), or s3://bucket/folder

# Shapes of nodes, and how many of each one allocation may have. Stages without GPUs run on nodes
# without any, where there are such.
nodes:
  - {count: 2, cpus: 64, memory: 480GB, gpus: 8, gpu: A100-80GB, partition: gpu}
  # - {count: 1, cpus: 32, memory: 120GB, partition: cpu}

limits:
  time: 24h                     # most that one allocation may take; the study goes on in the next
  # account: my_project
  # qos: normal
  # save_before: 5min           # jobs are asked to save so long before the limit
  # again: requeue              # or chain: where SLURM does not queue a job again
  # allocations: 4              # with chain: how many may follow each other

environment:
  # venv: /home/me/deltascale/.venv
  # modules: [cuda/12.4]
  variables: {}                 # what jobs see; never a secret

# options: [--constraint=a100]  # further options of sbatch
# scratch: /local               # a short path on each node's own disk (else SLURM's or /tmp)
# interface: ib0                # network between the nodes (else that of their names)
"""


def _check_word(written: str) -> str:
    if not written or any(letter.isspace() or letter in "\"'\\#`$;|&<>" for letter in written):
        raise ValueError(f"{written[:60]!r}: write a name without spaces, quotes or signs of shell")
    return written


def _check_path(written: str) -> str:
    if not written.startswith("/"):
        raise ValueError("write the whole path, as it is on the nodes (/…)")
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

    @property
    def asks_for_memory(self) -> bool:
        """Whether host memory is asked for."""
        return self.memory is not None


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
    options: Sequence[str] = ()
    """Further options of sbatch: `--constraint=a100`."""
    scratch: Annotated[str, AfterValidator(_check_path)] | None = None
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


class Slurm(ProfileKind):
    """Allocations of a SLURM cluster."""

    Fields = SlurmProfile
    SUMMARY = "a SLURM cluster: batch scripts, submitted from a login node"
    TEMPLATE = _TEMPLATE

    def launch(self, profile: Profile, request: LaunchRequest) -> int:
        """Write and submit the batch scripts of a study; return 0 once they are in the queue."""
        from orchestrator.profiles.slurm_submission import submit_study

        return submit_study(cast(SlurmProfile, profile), request)

    def uses(self, profile: Profile) -> list[str]:
        """Say what its batch scripts run and set."""
        fields = cast(SlurmProfile, profile)
        account = fields.limits.account
        return [
            *([f"charges the account {account}"] if account else []),
            *(f"gives sbatch the option {option}" for option in fields.options),
            *fields.environment.uses,
        ]
