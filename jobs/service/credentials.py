"""Keys of services come from the environment and are written nowhere; addresses hold none."""

import os
import re
from enum import Enum
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator

from cluster.errors import UserError
from cluster.redaction.known_values import remember_secret
from cluster.redaction.redactor import has_credentials
from cluster.redaction.token_shapes import holds_token, looks_random

_HOST = re.compile(r"[A-Za-z0-9._-]+(?::\d{1,5})?|\[[0-9A-Fa-f:.]+\](?::\d{1,5})?", re.ASCII)
_PRINTABLE = re.compile(r"[\x21-\x5b\x5d-\x7e]+")
_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,63}", re.ASCII)


def read_key(variable: str | None) -> str | None:
    """Read a key from an environment variable; None where no variable is named.

    Raises:
        UserError: the variable is not set.
    """
    if variable is None:
        return None
    value = os.environ.get(variable, "").strip()
    if not value:
        raise UserError(
            f"the environment variable {variable} is not set where the job runs",
            where=variable,
            hint="export it before Ray and deltascale start",
        )
    remember_secret(value, variable)
    return value


def _check_variable_name(written: object) -> object:
    """Refuse what may be a key in place of its variable's name, and never repeat it."""
    if written is None or (isinstance(written, str) and _is_name(written)):
        return written
    remember_secret(str(written), "not repeated")  # whatever message tells where it stands
    raise UserError(
        "this is no name of an environment variable",
        allowed=["capitals, digits and _, such as OPENAI_API_KEY"],
        hint="give the name of the variable that holds the key, never the key itself",
    )


def _is_name(written: str) -> bool:
    return (
        _NAME.fullmatch(written) is not None
        and not holds_token(written)
        and not any(looks_random(word) for word in written.split("_"))
    )


def _check_address(written: str) -> str:
    """Return an address without its last slash; one with a key in it would get into records."""
    if has_credentials(written) or holds_token(written):
        raise UserError(
            "the address holds a password or key, which would be written into records",
            hint="name the environment variable that holds it instead",
        )
    parts = urlsplit(written)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise UserError(f"{written!r} is no address", allowed=["http://...", "https://..."])
    if not _HOST.fullmatch(parts.netloc) or not _PRINTABLE.fullmatch(written):
        raise UserError(
            "the address holds letters by which it may look like another one",
            where=ascii(written),
            hint="a name with other letters than a to z is written as xn--…",
        )
    return written.rstrip("/")


class Mark(Enum):
    """What a param of a service is, for whoever looks where keys are sent."""

    KEY = "names the variable that holds a key"
    ADDRESS = "says where it is sent"


VariableName = Annotated[str, BeforeValidator(_check_variable_name), Mark.KEY]
"""Name of an environment variable."""
Address = Annotated[str, AfterValidator(_check_address), Mark.ADDRESS]
"""Address of a service."""
