"""A secret by reference: the variable or the file that holds it, never the secret itself."""

import os
import re
import stat

from cluster.disk.written_path import expanded
from cluster.errors import UserError
from cluster.redaction.known_values import remember_secret

_VARIABLE = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]{0,127})", re.ASCII)
_SHORTEST = 16
"""Letters of an address by which somebody can post."""
_MOST_BYTES = 4096


def check_reference(reference: str, what: str) -> None:
    """Check how a reference is written.

    Raises:
        UserError: it is none; what stands in its place is not repeated, it may be the secret.
    """
    if not _VARIABLE.fullmatch(reference) and not reference.startswith(("/", "~/")):
        _remember(reference, "not repeated")
        raise UserError(
            f"say where {what} is, never {what} itself",
            where="notify",
            allowed=["env:NAME of a variable", "the whole path of a file (/… or ~/…)"],
        )


def read_reference(reference: str, what: str) -> str:
    """Return the secret that a reference names; it is redacted from then on.

    Raises:
        UserError: the variable is not set; or the file is not there, holds no line, or others may
            read it.
    """
    variable = _VARIABLE.fullmatch(reference)
    if variable:
        secret = os.environ.get(variable[1], "").strip()
        if not secret:
            raise UserError(
                f"the environment variable {variable[1]}, which is to hold {what}, is not set",
                where="notify",
                hint=f"export {variable[1]}=… where the launch runs, or name a file that holds it",
            )
    else:
        secret = _read_private(reference, what)
    _remember(secret, "notify")
    return secret


def _remember(secret: str, name: str) -> None:
    """Have a secret redacted; a word too short for one would only tear other words apart."""
    if len(secret) >= _SHORTEST:
        remember_secret(secret, name)


def _read_private(reference: str, what: str) -> str:
    path = expanded(reference, where="notify")
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise UserError(
            f"the file that is to hold {what} cannot be read: {error.strerror}",
            where=str(path),
        ) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UserError("this is no file", where=str(path))
    with os.fdopen(descriptor, "rb") as stream:
        found = os.fstat(stream.fileno())
        if found.st_uid not in (os.getuid(), 0) or found.st_mode & 0o077:
            raise UserError(
                f"the file that holds {what} must be yours, and closed to all others",
                where=str(path),
                hint=f"chmod 600 {path}",
            )
        text = stream.read(_MOST_BYTES).decode(errors="replace")
    lines = text.split()
    if len(lines) != 1:
        raise UserError(f"the file is to hold {what} and nothing else", where=str(path))
    return lines[0]
