"""The user's own configuration: what studies may do with what is the user's.

keys:                     # which key may be sent where, by any study on any root
  - {variable: OPENAI_API_KEY, host: api.openai.com}
entries: [/lab/entries]   # folders of studies' own entries that others may write
profiles: [/lab/profiles/hpc.yaml]   # profiles whose set-up, tokens and images are allowed
environment: [MY_LAB_*]   # variables that jobs may see besides those that libraries read
notify: [webhook:env:SLACK_URL]   # how you are told of your launches
"""

import os
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from cluster.disk.written_path import expanded
from cluster.errors import UserError
from cluster.storage import Storage
from jobs.service.credentials import VariableName
from jobs.service.key_uses import KeyUse
from orchestrator.permission.own_files import CONFIG_VARIABLE, configuration_path, require_own
from orchestrator.study.pydantic_errors import user_error
from orchestrator.study.study_file import parse_study_file

_PATTERN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\*?", re.ASCII)
_MOST_BYTES = 1 << 20


def _check_pattern(written: str) -> str:
    if not _PATTERN.fullmatch(written):
        raise UserError(
            "this is no name of an environment variable, nor the beginning of one with *",
            where="environment",
        )
    return written


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AllowedKey(_Part):
    """A key that any study may send to one host."""

    variable: VariableName
    """Name of the environment variable that holds the key."""
    host: str
    """`host` or `host:port`, with `http://` before it where the way is not encrypted."""


class UserConfiguration(_Part):
    """What the user allows, for every root."""

    keys: tuple[AllowedKey, ...] = ()
    """Keys, and where they may go."""
    entries: tuple[str, ...] = ()
    """Folders of own entries whose code may run although others can write them, or although only
    the record of a study in a root names them."""
    profiles: tuple[str, ...] = ()
    """Profiles, outside of the user's own folder, that may run what they say."""
    environment: tuple[Annotated[str, AfterValidator(_check_pattern)], ...] = ()
    """Names of variables that jobs may see besides; `*` at the end: all that begin so."""

    notify: tuple[str, ...] = ()
    """How the user is told of every launch: `webhook:env:NAME`, `command:~/bin/tell`, `wandb`."""

    def allows(self, use: KeyUse) -> bool:
        """Tell whether a key may go to a host."""
        return any(
            allowed.variable == use.variable
            and allowed.host.lower().removeprefix("https://").rstrip("/") == use.host
            for allowed in self.keys
        )


def configured_paths(root: Storage, field: Literal["entries", "profiles"]) -> set[Path]:
    """Return the folders of entries, or the profiles, that the user's configuration allows.

    Raises:
        UserError: the configuration cannot be read, or names the home of nobody.
    """
    configuration, where = read_configuration(root), f"{configuration_path()}, {field}"
    return {expanded(text, where=where).resolve() for text in getattr(configuration, field)}


def read_configuration(root: Storage) -> UserConfiguration:
    """Read the user's configuration; where there is none, nothing is allowed.

    Raises:
        UserError: it is damaged, holds what nobody knows, or somebody else may have written it.
    """
    path = configuration_path()
    require_own(path, root)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        if os.environ.get(CONFIG_VARIABLE):
            raise UserError("there is no such configuration", where=str(path)) from None
        return UserConfiguration()
    except OSError as error:
        raise UserError(
            f"the configuration cannot be read: {error.strerror}", where=str(path)
        ) from None
    try:
        if len(data) > _MOST_BYTES:
            raise UserError("the configuration is too large", where=str(path))
        file = parse_study_file(data.decode(), str(path))
    except UnicodeDecodeError:
        raise UserError("the configuration is not UTF-8 text", where=str(path)) from None
    if file.data is not None and not isinstance(file.data, dict):
        raise UserError(
            "a configuration is a mapping",
            where=str(path),
            allowed=list(UserConfiguration.model_fields),
        )
    written = file.data or {}
    try:
        return UserConfiguration(**written)
    except UserError as fault:
        raise fault.at(str(path)) from None
    except ValidationError as fault:
        raise user_error(
            fault, UserConfiguration, written, "field", lambda place: file.where(*place)
        ) from None
