"""What a profile says of the environment that jobs run in, and what it may not say: a secret."""

import os
import re
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import AfterValidator, Field

from cluster.redaction.known_values import remember_secret
from cluster.redaction.secret_names import is_secret_name
from orchestrator.profiles.profile import Part

JOB_VARIABLES = "DELTASCALE_JOB_VARIABLES"
"""Variable of a batch script: names of others, with commas between, that jobs may see besides."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}", re.ASCII)


def _check_variables(written: Mapping[str, str]) -> Mapping[str, str]:
    for name, value in written.items():
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name[:60]!r} is no name of a variable")
        if is_secret_name(name):
            remember_secret(value, name)
            raise ValueError(
                f"{name} holds a secret, and a profile holds none: export it where you launch, or "
                "in your shell's profile on the nodes"
            )
    return written


def _expand_path(written: str) -> str:
    """Return a path as the nodes find it: in a batch script it is quoted, and nothing replaced."""
    if "$" in written:
        raise ValueError("variables are not replaced here: write the whole path")
    if not written.startswith(("/", "~/")):
        raise ValueError("write the whole path, as it is on the nodes (/… or ~/…)")
    return os.path.expanduser(written).rstrip("/") or "/"


def _expand_image(written: str) -> str:
    return written if "://" in written else _expand_path(written)


NodePath = Annotated[str, AfterValidator(_expand_path)]
"""A whole path on the nodes; `~/…` is in the home of the user who reads it."""
VariableValues = Annotated[Mapping[str, str], AfterValidator(_check_variables)]
"""Variables by name; their values are text (`"1"`, not `1`), and no secrets."""


class Environment(Part):
    """What a batch job or container sets up before jobs run in it."""

    venv: NodePath | None = None
    """Folder of the virtual environment that holds deltascale, on the nodes."""
    image: Annotated[str, AfterValidator(_expand_image)] | None = None
    """Container image that jobs run in: a path, or a URL such as docker://…"""
    modules: Sequence[str] = ()
    """Environment modules that are loaded first, in order."""
    setup: Sequence[str] = ()
    """Further lines of shell, run before anything else on each node."""
    variables: VariableValues = Field(default_factory=dict)
    """Variables that jobs see, by name; no secrets."""

    @property
    def uses(self) -> list[str]:
        """What needs the user's permission, one phrase each."""
        return [
            *([f"runs what is installed in {self.venv}"] if self.venv else []),
            *([f"runs in the container image {self.image}"] if self.image else []),
            *(f"loads the module {module}" for module in self.modules),
            *(f"runs the line {line!r}" for line in self.setup),
            *uses_of_variables(self.variables),
        ]


def uses_of_variables(variables: Mapping[str, str]) -> list[str]:
    """Say which variables are set, one phrase each."""
    return [f"sets {name}={value}" for name, value in variables.items()]
