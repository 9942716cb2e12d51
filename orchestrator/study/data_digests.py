"""Digests of the files and folders that params name, so that keys follow bytes and not paths."""

import os
from functools import lru_cache
from pathlib import Path

from cluster.errors import UserError
from jobs.artifacts.artifact import digest_bytes, digest_file


def digest_of(path: str) -> str:
    """`xxh3:` and 16 hex digits of a file, or of the names and bytes of all files of a folder.

    A file whose size and time of change are as before is not read again in this process.
    Raises UserError when it cannot be read.
    """
    try:
        if not os.path.isdir(path):
            return "xxh3:" + _file_digest(path)
        files = sorted(
            os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names
        )
        listed = [f"{os.path.relpath(file, path)} {_file_digest(file)}" for file in files]
    except FileNotFoundError:
        raise UserError(f"there is no file or folder {path}") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    return "xxh3:" + digest_bytes("\n".join(listed).encode())


def _file_digest(path: str) -> str:
    stat = os.stat(path)
    return _digest(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=65536)
def _digest(path: str, size: int, changed_ns: int) -> str:
    return digest_file(Path(path))
