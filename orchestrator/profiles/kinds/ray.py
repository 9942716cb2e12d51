"""Kind `ray`: a Ray that runs already, on one machine or many, joined by its head's address."""

import argparse
import os
from typing import Annotated, Literal, Self, cast

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from cluster.disk.written_path import expanded
from cluster.driver.ray_access import TOKEN, TOKEN_PATH, check_address
from cluster.errors import UserError
from cluster.redaction.known_values import remember_secret
from jobs.service.credentials import VariableName
from orchestrator.console import note
from orchestrator.profiles.kind import LaunchRequest, Place, ProfileKind
from orchestrator.profiles.profile import Part, Profile

_TEMPLATE = """\
kind: ray                       # a Ray that runs already; launch on one of its nodes
address: auto                   # host:port of its head; auto: the one Ray of this machine
# root: s3://bucket/folder      # what all nodes reach: an object storage, or a path they share

# Ray's token by reference, never the token itself. Without this, the launch takes what Ray itself
# would take: RAY_AUTH_TOKEN, the file that RAY_AUTH_TOKEN_PATH names, or ~/.ray/auth_token.
# authentication: {file: ~/.ray/auth_token}
# authentication: {variable: MY_RAY_TOKEN}

# What `plan --on` plans with; it never asks the cluster.
# nodes:
#   - {count: 4, cpus: 64, memory: 512GB, gpus: 8, gpu: A100-80GB, price: 12.5}
#   - {count: 2, cpus: 32, memory: 256GB, price: 1.1}
# currency: EUR   # prices are of one whole node for one hour
"""


def _with_its_line(written: object, check: ValidatorFunctionWrapHandler) -> object:
    """Let pydantic say where a value stands that another floor's check refuses."""
    try:
        return check(written)
    except UserError as fault:
        rest = [f"({', '.join(fault.allowed)})"] if fault.allowed else []
        raise ValueError(
            "; ".join([" ".join([fault.error, *rest]), *filter(None, [fault.hint])])
        ) from None


def _refuse_literal(written: object) -> object:
    """Refuse a token in place of where it is, and never repeat it."""
    if isinstance(written, str):
        remember_secret(written, "not repeated")
        raise ValueError(
            "say where the token is, never the token: {file: PATH} or {variable: NAME}"
        )
    return written


def _check_token_file(written: str) -> str:
    if not written.startswith(("/", "~/")):
        remember_secret(written, "not repeated")
        raise ValueError(
            "write the whole path of the file (/… or ~/…, such as ~/.ray/auth_token), never the "
            "token itself"
        )
    return written


class Authentication(Part):
    """Where Ray's token is: one of the two."""

    variable: Annotated[VariableName | None, WrapValidator(_with_its_line)] = None
    """Name of the environment variable that holds it, where the launch runs."""
    file: Annotated[str, AfterValidator(_check_token_file)] | None = None
    """Path of the file that holds it, on the machine where the launch runs."""

    @model_validator(mode="after")
    def _require_one(self) -> Self:
        if (self.variable is None) == (self.file is None):
            raise ValueError("give variable: NAME or file: PATH, one of them")
        return self

    def variables(self) -> dict[str, str]:
        """Return Ray's own variables for this token.

        Raises:
            UserError: the variable is not set, or the file cannot be read.
        """
        if self.variable is not None:
            token = os.environ.get(self.variable, "").strip()
            if not token:
                raise UserError(
                    f"the environment variable {self.variable}, which is to hold Ray's token, is "
                    "not set",
                    where="authentication",
                    hint=f"export {self.variable}=… where you launch",
                )
            remember_secret(token, self.variable)
            return {TOKEN: token}
        path = expanded(str(self.file), where="authentication")
        try:
            with path.open("rb"):
                pass
        except OSError as error:
            raise UserError(
                f"the file of Ray's token cannot be read: {error.strerror}",
                where=str(path),
                hint="`ray get-auth-token --generate` makes one; every node needs the same",
            ) from None
        return {TOKEN_PATH: str(path)}

    @property
    def place(self) -> str:
        """Where the token is, for a sentence."""
        return f"in {self.variable}" if self.variable else f"in {self.file}"


def _check_address(written: str) -> str:
    check_address(written)
    return written


class RayProfile(Profile):
    """Fields of a profile of kind `ray`."""

    kind: Literal["ray"] = "ray"
    """`ray`."""
    address: Annotated[str, AfterValidator(_check_address), WrapValidator(_with_its_line)] = "auto"
    """`host:port` of the head; `auto`: the one Ray of this machine."""
    authentication: Annotated[Authentication | None, BeforeValidator(_refuse_literal)] = None
    """Where Ray's token is; null: where Ray itself looks for it."""


class Ray(ProfileKind):
    """A Ray that runs already."""

    Fields = RayProfile
    SUMMARY = "a Ray that runs already, on one machine or many"
    TEMPLATE = _TEMPLATE
    NEEDS_FILE = False
    FLAGS = ("address",)

    def launch(self, profile: Profile, request: LaunchRequest) -> int:
        """Run the launch in this process, its jobs on the Ray at the address."""
        place = self.place(profile, request.options)
        fields = cast(RayProfile, profile)
        if request.root.is_local and not request.options.root and fields.root is None:
            note(
                f"note: no root is set, so results go to {request.root.url}: all nodes must see it"
            )
        return request.run_here(place)

    def place(self, profile: Profile, options: argparse.Namespace) -> Place:
        """Return the Ray at the address."""
        fields = cast(RayProfile, profile)
        access = fields.authentication.variables() if fields.authentication else {}
        return Place(address=options.address or fields.address, access=access)

    def uses(self, profile: Profile) -> list[str]:
        """Say where a token goes, and where this code is carried."""
        fields = cast(RayProfile, profile)
        if fields.address == "auto" and fields.authentication is None:
            return []
        token = fields.authentication.place if fields.authentication else "that Ray takes by itself"
        return [f"shows the token {token} to the Ray at {fields.address}, and runs jobs there"]
