"""Who may read a file that a library wrote for its owner alone: whoever its folder lets in.

Some libraries write through a temporary file of mode 0600 (safetensors does): nobody but its owner
could then go on from a model in a root that a group shares.
"""

import contextlib
import os
import stat
from pathlib import Path

from cluster.disk.disk_faults import sync_descriptor

_READ_AND_WRITE = 0o666


def let_in(descriptor: int, file: Path) -> None:
    """Let those read and write an open file who may do so with its folder, as any new file would.

    A file of another owner, and one on a file system without modes, stays as it is.
    """
    mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
    wanted = mode | (os.stat(file.parent).st_mode & _READ_AND_WRITE)
    if wanted != mode:
        with contextlib.suppress(OSError):
            os.fchmod(descriptor, wanted)


def sync_and_let_in(file: Path) -> None:
    """Make the bytes of a file survive a loss of power, for all whom its folder lets in."""
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        let_in(descriptor, file)
        sync_descriptor(descriptor)
    finally:
        os.close(descriptor)
