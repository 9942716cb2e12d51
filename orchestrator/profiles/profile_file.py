"""Reads one profile file: strict YAML as in studies, every fault with file and line."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from cluster.errors import UserError, unknown_name
from cluster.machine.resources import Resources
from orchestrator.profiles.kind import PROFILE_KINDS, ProfileKind
from orchestrator.profiles.profile import Profile
from orchestrator.study.pydantic_errors import user_error
from orchestrator.study.study_file import StudyFile, read_study_file

NEW_HINT = "`deltascale profile new NAME --kind KIND` writes one to start from"
"""What to do where there is no profile yet."""


@dataclass(frozen=True, kw_only=True)
class ChosenProfile:
    """A profile that `--on` names."""

    name: str
    """Name, as messages give it."""
    kind: ProfileKind
    """Its kind."""
    profile: Profile
    """Its fields: an instance of `kind.Fields`."""
    file: StudyFile | None
    """Where it is written; None for the defaults of a kind that needs no file."""
    path: Path | None
    """Path of the file."""

    @property
    def machines(self) -> list[Resources]:
        """The nodes to plan for. Raises UserError where it says nothing of them."""
        machines = self.kind.machines(self.profile)
        if not machines:
            raise UserError(
                f"profile {self.name!r} says nothing of its nodes, so there is nothing to plan for",
                where=self.where("nodes"),
                hint="add `nodes:` to it, or plan with --machines",
            )
        return machines

    def where(self, *place: str | int) -> str:
        """Return `file:line` of a place in it."""
        return self.file.where(*place) if self.file else f"the profile {self.name!r} has no file"


def read_profile(path: Path) -> ChosenProfile:
    """Read the profile in a file. Raises UserError with file and line."""
    file = read_study_file(path, "profile")
    written = file.data
    if not isinstance(written, dict):
        raise UserError(
            "a profile is a mapping that begins with its kind",
            where=file.where(),
            hint=NEW_HINT,
        )
    if "kind" not in written:
        raise UserError(
            "the field 'kind' is required", where=file.where(), allowed=PROFILE_KINDS.names()
        )
    where, name = file.where("kind"), written["kind"]
    if not isinstance(name, str) or name not in PROFILE_KINDS.names():
        raise unknown_name("kind of profile", str(name), PROFILE_KINDS.names(), where=where)
    kind = PROFILE_KINDS.find(name, where=where)
    try:
        profile = kind.Fields(**written)
    except ValidationError as fault:
        raise user_error(
            fault, kind.Fields, written, "field", lambda place: file.where(*place)
        ) from None
    return ChosenProfile(name=path.stem, kind=kind, profile=profile, file=file, path=path)


def default_profile(name: str) -> ChosenProfile:
    """Return the defaults of a kind that needs no file."""
    kind = PROFILE_KINDS.find(name)
    return ChosenProfile(name=name, kind=kind, profile=kind.Fields(kind=name), file=None, path=None)
