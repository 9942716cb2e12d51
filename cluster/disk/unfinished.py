"""Files that are not whole yet: what writes call them in an open folder, and how they are made.

A write is such a file, which is given its name once it is whole and durable.
"""

import contextlib
import os
import re
import shutil
from typing import IO

from cluster.disk.disk_faults import sync_descriptor

_PIECE_BYTES = 1 << 24
_TEMPORARY = re.compile(r"\.tmp-[0-9a-f]{16}")
"""Names that writes give their files until they are whole; no name of a study begins so."""
_OLD_TEMPORARY = re.compile(r".+\.tmp-[0-9a-f]{8}")
"""As above, from versions before; folders of such names are studies and other people's."""
_UNLINKED_WHILE_OPEN = re.compile(r"\.nfs[0-9a-f]{16,}")
"""What an NFS client leaves of a file that was deleted while a process had it open."""


def is_leftover(name: str) -> bool:
    """Tell whether a file's name is one that no finished file has: an unfinished write, `.nfs…`."""
    if ".tmp-" not in name and not name.startswith(".nfs"):
        return False
    patterns = (_TEMPORARY, _OLD_TEMPORARY, _UNLINKED_WHILE_OPEN)
    return any(pattern.fullmatch(name) for pattern in patterns)


def is_leftover_entry(entry: "os.DirEntry[str]") -> bool:
    """Tell whether an entry of a folder is a plain file of such a name."""
    return is_leftover(entry.name) and entry.is_file(follow_symlinks=False)


def temporary_name() -> str:
    """Return a name for a file that is not whole yet, which no other write takes."""
    return f".tmp-{os.urandom(8).hex()}"


def write_unfinished(folder: int, data: bytes) -> str:
    """Write bytes durably into an open folder; return the name that they have until it is theirs.

    Raises OSError, and then leaves nothing.
    """
    temporary = temporary_name()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o666, dir_fd=folder)
    try:
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(descriptor, left) :]
            sync_descriptor(descriptor)
        finally:
            os.close(descriptor)
    except OSError:
        forget(temporary, folder)
        raise
    return temporary


def link_or_copy_open(file: IO[bytes], path: str, target: str, folder: int) -> None:
    """Give an open file a second name in a folder, or copy it there durably.

    Args:
        file: The file.
        path: A path of it, through descriptors that are open.
        target: The second name.
        folder: Descriptor of the folder that it is to have this name in.
    """
    with contextlib.suppress(OSError):
        os.link(path, f"/proc/self/fd/{folder}/{target}")
        if os.path.samestat(os.fstat(file.fileno()), os.lstat(target, dir_fd=folder)):
            return
        os.unlink(target, dir_fd=folder)  # the name was given to another file meanwhile
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with open(os.open(target, flags, 0o666, dir_fd=folder), "wb") as copy:
        shutil.copyfileobj(file, copy, _PIECE_BYTES)
        copy.flush()
        sync_descriptor(copy.fileno())


def forget(temporary: str, folder: int) -> None:
    """Delete a file that was not given its name, where it is still there."""
    with contextlib.suppress(OSError):
        os.unlink(temporary, dir_fd=folder)
