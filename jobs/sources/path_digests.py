"""Digests in the place of paths of data: keys follow bytes, and a job reads those of its key."""

import os
import stat
from functools import lru_cache
from pathlib import Path

from cluster.errors import UserError
from jobs.artifacts.artifact import digest_bytes, digest_file
from jobs.sources.plain_files import inside_of, unreadable

_DIGEST = "xxh3:"


def require_planned(value: object, planned: object) -> None:
    """Require that local paths lead to the bytes that they led to when the job was planned.

    Args:
        value: a path, or a list of them.
        planned: what `digest_paths` gave for it then.

    Raises:
        UserError: a file or folder has changed, or is not there any more.
        SurroundingsError: its disk does not answer.
    """
    if isinstance(value, list) and isinstance(planned, list):
        for path, digest in zip(value, planned, strict=True):
            require_planned(path, digest)
    elif str(planned).startswith(_DIGEST) and digest_paths(value) != planned:
        raise UserError(
            "the data have changed since the study was planned",
            where=str(value),
            hint="launch again: what is read now is another job",
        )


def digest_paths(value: object) -> object:
    """Put digests in the place of local paths; URLs stay as they are."""
    if isinstance(value, list):
        return [digest_paths(item) for item in value]
    return _digest_path(value) if isinstance(value, str) and "://" not in value else value


def _digest_path(path: str) -> str:
    """Return `xxh3:` and 16 hex digits of a file, or of the names and bytes in a folder.

    A file whose size and time of change are as before is not read again in this process.
    """
    try:
        if not stat.S_ISDIR(os.stat(path).st_mode):
            return _DIGEST + _file_digest(path)
        lines = [f"{os.path.relpath(file, path)} {_file_digest(file)}" for file in inside_of(path)]
    except FileNotFoundError as error:
        missing = os.fsdecode(error.filename or path)
        if os.path.islink(missing):
            raise UserError(
                f"{missing} is a link to nothing", hint="take it away, or copy what it names"
            ) from None
        raise UserError(f"there is no file or folder {path}") from None
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None
    return _DIGEST + digest_bytes("\n".join(lines).encode("utf-8", "surrogateescape"))


def _file_digest(path: str) -> str:
    found = os.stat(path)
    return _cached_digest(path, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=65536)
def _cached_digest(path: str, size: int, changed_ns: int) -> str:
    return digest_file(Path(path))
