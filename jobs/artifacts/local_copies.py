"""Copies of a remote root's files on this machine, for libraries that want a path.

All jobs of a user on a machine share them. They may be deleted whenever no job runs; `TMPDIR` says
where they lie.
"""

import os
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path

import xxhash

from cluster.storage import Storage


def place_of_copy(storage: Storage, name: str) -> Path:
    """Return where the copy of a remote name lies, or will lie."""
    root = xxhash.xxh3_64_hexdigest(storage.url.encode())
    # With the user in its name: on a shared machine the first one's folder is closed to others.
    return Path(tempfile.gettempdir()) / f"deltascale-{os.getuid()}-{root}" / name


def local_copy(storage: Storage, name: str, is_whole: Callable[[Path], bool]) -> bool:
    """See that a whole copy lies at `place_of_copy`; False when the root itself has no whole one.

    A copy that stands there is believed after `is_whole` looked at it, and is made anew otherwise.
    A new one gets its name last, so that jobs that ask at the same time never see half of one.
    """
    path = place_of_copy(storage, name)
    if is_whole(path):
        return True
    temporary = path.with_name(f"{path.name}.tmp-{uuid.uuid4().hex[:8]}")
    try:
        storage.download(name, temporary)
        if not is_whole(temporary):
            return False
        os.replace(temporary, path)
    except FileNotFoundError:
        return False
    finally:
        temporary.unlink(missing_ok=True)
    return True
