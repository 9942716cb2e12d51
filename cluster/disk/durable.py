"""What survives a loss of power: bytes and names that are synced, second names of whole files."""

import os
import shutil

from cluster.disk.disk_faults import sync_descriptor

StrPath = str | os.PathLike[str]


def link_or_copy(source: StrPath, target: StrPath) -> None:
    """Give a file's bytes a second name; on another disk, or one without links, copy them durably.

    Only for files that are never written to again. Raises FileNotFoundError.
    """
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(source, target)
        sync(target)


def sync(path: StrPath) -> None:
    """Make the bytes of a file, or the names in a folder, survive a loss of power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        sync_descriptor(descriptor)
    finally:
        os.close(descriptor)
