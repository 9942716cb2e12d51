"""Kind `local`: this machine, with a Ray that the launch starts and ends; or one process."""

import argparse
from typing import Annotated, Literal, cast

from pydantic import Field

from cluster.errors import UserError
from cluster.machine.resources import Resources, this_machine
from orchestrator.profiles.environment import VariableValues, uses_of_variables
from orchestrator.profiles.kind import LaunchRequest, Place, ProfileKind
from orchestrator.profiles.profile import Part, Profile

_TEMPLATE = """\
kind: local                     # this machine
# root: /data/deltascale        # where results go: a whole path, ~/… or s3://bucket/folder
# executor: ray                 # or local: one process, no Ray
# cpus: 16                      # cores that jobs may use together (default: all)

# What `plan --on` plans with; without it: the machine that plan runs on.
# nodes:
#   - {count: 1, cpus: 96, memory: 1000GB, gpus: 8, gpu: H100-80GB, price: 24.0}
# currency: EUR   # prices are of one whole node for one hour

# environment:
#   variables: {OMP_NUM_THREADS: "4"}   # what jobs see; never a secret
"""


class LocalEnvironment(Part):
    """What a launch on this machine sets; venv, modules and image are those it was started in."""

    variables: VariableValues = Field(default_factory=dict)
    """Variables that jobs see, by name; no secrets."""


class LocalProfile(Profile):
    """Fields of a profile of kind `local`."""

    kind: Literal["local"] = "local"
    """`local`."""
    executor: Literal["ray", "local"] = "ray"
    """`ray`: as many jobs at a time as the machine holds; `local`: one after another, no Ray."""
    cpus: Annotated[int, Field(ge=1, le=4096)] | None = None
    """Cores that jobs may use together, with executor `ray`; null: all."""
    environment: LocalEnvironment = Field(default_factory=LocalEnvironment)
    """What jobs find in their environment besides what the command was started in."""


class Local(ProfileKind):
    """This machine."""

    Fields = LocalProfile
    SUMMARY = "this machine: a laptop, a box with GPUs, or inside a batch job"
    TEMPLATE = _TEMPLATE
    NEEDS_FILE = False
    FLAGS = ("executor", "cpus")

    def launch(self, profile: Profile, request: LaunchRequest) -> int:
        """Run the launch in this process, on this machine."""
        return request.run_here(self.place(profile, request.options))

    def place(self, profile: Profile, options: argparse.Namespace) -> Place:
        """Return the executor on this machine."""
        fields = cast(LocalProfile, profile)
        executor = options.executor or fields.executor
        if executor != "ray" and options.cpus is not None:
            raise UserError(f"--cpus is for `--executor ray`, not {executor!r}", where="--cpus")
        cpus = options.cpus or (fields.cpus if executor == "ray" else None)
        return Place(executor=executor, cpus=cpus, variables=fields.environment.variables)

    def machines(self, profile: Profile) -> list[Resources]:
        """Return the nodes of the profile, or else this machine."""
        return profile.machines or [this_machine()]

    def uses(self, profile: Profile) -> list[str]:
        """Say which variables it sets."""
        return uses_of_variables(cast(LocalProfile, profile).environment.variables)
