"""Records of inputs that this machine cannot see yet, though the launch has seen them.

A client of a network file system may answer for up to a minute from what it remembers, and it
remembers what was missing, too: here an earlier attempt may have looked in vain.
"""

import os
import time
from collections.abc import Callable

from cluster.errors import SurroundingsError
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact

_PAUSE_S = 0.5
_OF_ONE_MACHINE = frozenset(
    {
        "apfs",
        "bcachefs",
        "btrfs",
        "ext2",
        "ext3",
        "ext4",
        "f2fs",
        "overlay",
        "ramfs",
        "tmpfs",
        "xfs",
    }
)
"""File systems that no other machine writes to: what is not there now is not there."""


def digest_of_input(
    artifact: Artifact, *, within_s: float, stop_requested: Callable[[], bool]
) -> str:
    """Return the content digest of an input's record, looked for again while it may be hidden.

    Args:
        artifact: the input.
        within_s: how long it may be hidden on a file system that several machines share.
        stop_requested: ends the looking.

    Raises:
        SurroundingsError: there is no valid record.
    """
    until = time.monotonic() + within_s
    while True:
        try:
            return artifact.record_digest
        except SurroundingsError:
            is_over = time.monotonic() >= until or stop_requested()
            if is_over or not may_hide(artifact.storage):
                raise
        # A folder that is listed is asked for anew, and with it what was seen to be missing.
        artifact.storage.list(artifact.folder)
        time.sleep(_PAUSE_S)


def may_hide(storage: Storage) -> bool:
    """Tell whether this machine may not see yet what another one wrote under a root."""
    if not storage.is_local:
        return False  # object storages answer with what is there
    import psutil

    place = os.path.realpath(storage.url)
    kinds = {
        partition.mountpoint: partition.fstype
        for partition in psutil.disk_partitions(all=True)
        if place == partition.mountpoint or place.startswith(partition.mountpoint.rstrip("/") + "/")
    }
    return kinds[max(kinds, key=len)] not in _OF_ONE_MACHINE if kinds else True
