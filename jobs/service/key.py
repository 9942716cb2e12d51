"""The key of a service: read from the environment when it is needed, and never written anywhere."""

import os
import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from cluster.errors import UserError
from jobs.worker.logs import CREDENTIALS_IN_URL, SECRET_IN_QUERY

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def key_from(variable: str | None) -> str | None:
    """The value of the variable; None where none is named. Raises UserError when it is not set."""
    if variable is None:
        return None
    value = os.environ.get(variable, "").strip()
    if not value:
        raise UserError(
            f"the environment variable {variable} is not set where the job runs",
            where=variable,
            hint="export it before Ray and deltascale start",
        )
    return value


def _variable_name(written: str) -> str:
    """Never repeats what was written: it might be the key itself."""
    if not _NAME.fullmatch(written):
        raise UserError(
            "this is no name of an environment variable",
            hint="give the name of the variable that holds the key, never the key itself",
        )
    return written


def _address(written: str) -> str:
    """An address without a key in it: it becomes part of records."""
    if CREDENTIALS_IN_URL.search(written) or SECRET_IN_QUERY.search(written):
        raise UserError(
            "the address holds a password or key, which would be written into records",
            hint="name the environment variable that holds it instead",
        )
    parts = urlsplit(written)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise UserError(f"{written!r} is no address", allowed=["http://...", "https://..."])
    return written.rstrip("/")


VariableName = Annotated[str, AfterValidator(_variable_name)]
"""Name of an environment variable."""
Address = Annotated[str, AfterValidator(_address)]
"""Where a service answers."""
