"""Keys of services come from the environment and are written nowhere; addresses hold none."""

import os
import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from cluster.errors import UserError
from jobs.worker.logs import CREDENTIALS_IN_URL, SECRET_IN_QUERY

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


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
    return value


def _check_variable_name(written: str) -> str:
    if not _NAME.fullmatch(written):
        # The message does not repeat what was written: that might be the key itself.
        raise UserError(
            "this is no name of an environment variable",
            hint="give the name of the variable that holds the key, never the key itself",
        )
    return written


def _check_address(written: str) -> str:
    """Return an address without its last slash; one with a key in it would get into records."""
    if CREDENTIALS_IN_URL.search(written) or SECRET_IN_QUERY.search(written):
        raise UserError(
            "the address holds a password or key, which would be written into records",
            hint="name the environment variable that holds it instead",
        )
    parts = urlsplit(written)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise UserError(f"{written!r} is no address", allowed=["http://...", "https://..."])
    return written.rstrip("/")


VariableName = Annotated[str, AfterValidator(_check_variable_name)]
"""Name of an environment variable."""
Address = Annotated[str, AfterValidator(_check_address)]
"""Address of a service."""
